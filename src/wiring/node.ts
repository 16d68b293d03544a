import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { runNode } from "../node/node-service.ts";
import { tellOfNetworkSurely, tellsOfNetwork } from "./network-condition.ts";
import { openSharingDatastore } from "./node-datastore.ts";
import { type Environment, runDaemon } from "./process.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** `tortie node`. Gives the exit code. */
export function runNodeProcess(env: Environment): Promise<number> {
  return runDaemon("node", env, async (log, signal) => {
    warnOfTypha(env, log);
    const { datastore, serve } = await openSharingDatastore(env, log);
    const kernel = openLinuxKernel();
    try {
      const run = runNode(env, {
        datastore,
        kernel,
        clock: systemClock,
        log,
        random: (count) => randomBytes(count),
        version: await versionOfPackage(),
        ipv6: existsSync("/proc/sys/net/ipv6"),
        command: { program: process.execPath, args: [...process.execArgv, main] },
        ...(serve === undefined ? {} : { claimed: serve }),
        ...(tellsOfNetwork(env)
          ? { started: (stop) => tellOfNetworkSurely(env, { log, signal: stop }) }
          : {}),
      });
      await run(signal);
    } finally {
      kernel.close();
      await datastore.close();
    }
  });
}

/** A manifest of Calico may name one: its protocol is not ours, and the datastore is always at hand. */
function warnOfTypha(env: Environment, log: Logger): void {
  const named = ["FELIX_TYPHAK8SSERVICENAME", "FELIX_TYPHAADDR"].filter(
    (variable) => !["", "none"].includes(env[variable] ?? ""),
  );
  if (named.length === 0) return;
  log.warn({ variables: named }, "Typha is not asked: every node asks the datastore itself");
}

async function versionOfPackage(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return `v${(JSON.parse(text) as { version: string }).version}`;
}
