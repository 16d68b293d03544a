import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openDatastore } from "../datastore/open-datastore.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { systemClock } from "../lib/clock.ts";
import { runNode } from "../node/node-service.ts";
import { type Environment, runDaemon } from "./process.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** `tortie node`. Gives the exit code. */
export function runNodeProcess(env: Environment): Promise<number> {
  return runDaemon("node", env, async (log, signal) => {
    const datastore = await openDatastore(env);
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
        command: { program: process.execPath, args: [main] },
      });
      await run(signal);
    } finally {
      kernel.close();
      await datastore.close();
    }
  });
}

async function versionOfPackage(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return `v${(JSON.parse(text) as { version: string }).version}`;
}
