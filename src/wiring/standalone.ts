import { readFileSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { defaultControlPath } from "../bgp/control/control-path.ts";
import type { Files } from "../bgp/standalone/password-file.ts";
import { problemText } from "../bgp/standalone/place.ts";
import {
  neighborCount,
  openSpeakerFile,
  runStandalone,
  type StandaloneConfig,
} from "../bgp/standalone/standalone-service.ts";
import { systemClock } from "../lib/clock.ts";
import { type IpAddr, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { LogTail } from "../lib/log-tail.ts";
import { type Environment, runDaemon, teed } from "./process.ts";

/** `tortie bgp --config FILE`: no datastore, and netlink only where routes are installed. */
export function runStandaloneProcess(
  path: string,
  env: Environment,
  options: Pick<StandaloneConfig, "record"> = {},
): Promise<number> {
  const tail = new LogTail();
  const run = (log: Parameters<Parameters<typeof runDaemon>[2]>[0], signal: AbortSignal) => {
    const config = { path, socketPath: defaultControlPath(env), ...options };
    const deps = { clock: systemClock, log, tail, read, openKernel, ownAddresses, onReload };
    return runStandalone(config, deps)(signal);
  };
  return runDaemon("bgp", env, run, { destination: teed(tail) });
}

/** `tortie bgp --config FILE --check`: prints what is wrong with the file. Gives the exit code. */
export function checkSpeakerFile(path: string): number {
  const result = openSpeakerFile(path, read);
  if ("file" in result) {
    const count = neighborCount(result.file);
    process.stdout.write(`${path}: ok, ${count} ${count === 1 ? "neighbor" : "neighbors"}\n`);
    return 0;
  }
  for (const problem of result.problems) process.stdout.write(`${problemText(path, problem)}\n`);
  return 1;
}

const read: Files["read"] = (path) => ({
  text: readFileSync(path, "utf8"),
  mode: statSync(path).mode,
});

async function openKernel() {
  const { openLinuxKernel } = await import("../kernel/linux-kernel.ts");
  return openLinuxKernel();
}

function ownAddresses(): readonly IpAddr[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses
      .map(({ address }) => address.replace(/%.*$/, ""))
      .filter(isIpAddr)
      .map(parseIpAddr),
  );
}

function onReload(reload: () => void): void {
  process.on("SIGHUP", reload);
}
