import { parseArguments } from "../cli/arguments.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { systemClock } from "../lib/clock.ts";
import { InputError } from "../lib/errors.ts";
import { runUdpTunnel } from "../node/udp-tunnel/udp-tunnel.ts";
import { type Environment, runDaemon } from "./process.ts";

/** `tortie udp-tunnel --port PORT`. Gives the exit code. */
export function runUdpTunnelProcess(argv: readonly string[], env: Environment): Promise<number> {
  const text = parseArguments(argv, { port: { value: "PORT" } }).value("port") ?? "8285";
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new InputError(`Cannot use --port "${text}": it must be 1 to 65535`);
  }
  return runDaemon("udp-tunnel", env, async (log, signal) => {
    const kernel = openLinuxKernel();
    try {
      await runUdpTunnel(port, { kernel, clock: systemClock, log })(signal);
    } finally {
      kernel.close();
    }
  });
}
