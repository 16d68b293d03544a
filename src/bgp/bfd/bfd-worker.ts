import { randomInt } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { assertNever, invariant } from "../../lib/brand.ts";
import { systemClock } from "../../lib/clock.ts";
import type { BfdChange, BfdSessionConfig } from "./bfd.ts";
import { BfdEngine } from "./engine.ts";
import { UdpPaths } from "./udp-paths.ts";

/** The thread that watches the paths: it shares nothing with the main thread but these messages. */

export type ToBfdWorker =
  | { readonly kind: "configure"; readonly sessions: readonly BfdSessionConfig[] }
  | { readonly kind: "close" };

export type FromBfdWorker =
  | { readonly kind: "change"; readonly change: BfdChange }
  | { readonly kind: "warning"; readonly reason: string };

if (parentPort !== null) watchPaths();

function watchPaths(): void {
  const port = parentPort;
  invariant(port !== null, "this file is run as a worker");
  const post = (message: FromBfdWorker) => port.postMessage(message);
  const paths = new UdpPaths({
    clock: systemClock,
    random: Math.random,
    received: (bytes, arrival) => engine.receive(bytes, arrival),
    warn: (reason) => post({ kind: "warning", reason }),
  });
  const engine: BfdEngine = new BfdEngine({
    clock: systemClock,
    random: Math.random,
    newDiscriminator: () => randomInt(1, 2 ** 32),
    afterPendingReads: (callback) => paths.afterPendingReads(callback),
    open: (config) => paths.open(config),
    onChange: (change) => post({ kind: "change", change }),
  });
  port.on("message", (message: ToBfdWorker) => {
    switch (message.kind) {
      case "configure":
        engine.configure(message.sessions);
        break;
      case "close":
        engine.close();
        port.close();
        break;
      default:
        assertNever(message);
    }
  });
}
