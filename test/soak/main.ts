import { parseArgs } from "node:util";
import { errorMessage } from "../../src/lib/errors.ts";
import { soakServers } from "./servers.ts";
import { soak } from "./soak.ts";

/**
 * Watches each driver while its server is killed and restarted, all drivers at once.
 *
 * Usage: npm run soak -- [--minutes 60] [--every SECONDS] [--drivers embedded,etcd,kubernetes]
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    every: { type: "string", default: "30" },
    drivers: { type: "string", default: Object.keys(soakServers).join(",") },
  },
});
const [minutes, everySeconds] = [Number(values.minutes), Number(values.every)];
const drivers = values.drivers.split(",");
const unknown = drivers.find((driver) => soakServers[driver] === undefined);
if (!(minutes > 0) || !(everySeconds > 0) || unknown !== undefined) {
  const known = Object.keys(soakServers).join(", ");
  console.error(`Usage: --minutes and --every above 0; --drivers of ${known}`);
  process.exit(2);
}

const say = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

/** @returns whether nothing was lost and nothing false. */
async function soakOne(driver: string): Promise<boolean> {
  try {
    const server = await soakServers[driver]?.();
    if (server === undefined) return false;
    try {
      const end = performance.now() + minutes * 60_000;
      const { counts } = await soak(server, {
        goOn: () => performance.now() < end,
        everyMs: everySeconds * 1000,
        writes: 20,
        pauseMs: 25,
        downMs: 3_000,
        say,
      });
      say(`${driver}: passed, ${JSON.stringify(counts)}`);
      return true;
    } finally {
      await server.remove();
    }
  } catch (error) {
    say(`${driver}: FAILED: ${errorMessage(error)}`);
    return false;
  }
}

say(`${drivers.join(", ")}: ${minutes} min, a restart every ${everySeconds} s`);
const passed = await Promise.all(drivers.map(soakOne));
say(passed.every(Boolean) ? "passed" : "FAILED");
process.exitCode = passed.every(Boolean) ? 0 : 1;
