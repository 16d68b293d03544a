import { type BgpConfig, runBgp } from "../bgp/speaker/speaker-service.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { LogTail } from "../lib/log-tail.ts";
import { nodeNameOf } from "../node/node-name.ts";
import { acceptStored } from "./decode.ts";
import { openSharedDatastore } from "./node-datastore.ts";
import { type Environment, runDaemon, teed } from "./process.ts";

/** `tortie bgp` of a node: the datastore configures it. Gives the exit code. */
export function runBgpProcess(
  env: Environment,
  options: Pick<BgpConfig, "record"> = {},
): Promise<number> {
  const tail = new LogTail();
  const run = async (log: Logger, signal: AbortSignal) => {
    const datastore = await openSharedDatastore(env, log);
    const kernel = openLinuxKernel();
    try {
      const config = { nodeName: nodeNameOf(env), env, ...options };
      const decode = acceptStored(log);
      await runBgp(config, { datastore, kernel, clock: systemClock, log, tail, decode })(signal);
    } finally {
      kernel.close();
      await datastore.close();
    }
  };
  return runDaemon("bgp", env, run, { destination: teed(tail) });
}
