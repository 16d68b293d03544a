import type { Kernel, KernelEvent } from "../../kernel/kernel.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { runServices, type Service } from "../../lib/service.ts";
import { FibSync } from "../fib/fib-sync.ts";
import { type RecordConfig, Recording } from "../record/recording.ts";
import { NextHops } from "../rib/next-hop.ts";
import { Reachability } from "./reachability.ts";
import { Speaker } from "./speaker.ts";
import { SpeakerHost, type SpeakerHostDeps } from "./speaker-host.ts";

export interface RunSpeakerDeps {
  /** Where our routes go and next hops are looked up; or, without a kernel, our own addresses. */
  readonly routing:
    | { readonly kernel: Kernel; readonly refreshMs?: number; readonly table?: number }
    | { readonly ownAddresses: readonly IpAddr[] };
  /** Every event is written there. */
  readonly record?: RecordConfig;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A speaker that runs, for those who configure it and ask it. */
export interface RunningSpeaker {
  readonly speaker: Speaker;
  readonly host: SpeakerHost;
  /** ISO time. */
  readonly startedAt: string;
}

const monitorRetryMs = 1000;

/**
 * Runs a speaker with what `services` adds to it, until the signal. When it ends, sessions are closed
 * without a word and the kernel's routes stay.
 */
export function runSpeaker(
  deps: RunSpeakerDeps,
  services: (running: RunningSpeaker) => readonly Service[],
): Service {
  return async (signal) => {
    const { clock, log, routing } = deps;
    const speaker = new Speaker({ now: () => clock.now() });
    const startedAt = clock.date().toISOString();
    const recording = deps.record && new Recording(deps.record, { clock, log });
    const hostWith = (fib: SpeakerHostDeps["fib"]) => {
      const host = new SpeakerHost(speaker, { fib, clock, log, signal });
      recording?.watch(host);
      return host;
    };
    const start =
      "kernel" in routing
        ? await startOnKernel(speaker, { ...deps, ...routing }, { hostWith, signal })
        : startAlone(routing.ownAddresses, hostWith);
    const { host } = start;
    await runServices([...start.services, ...services({ speaker, host, startedAt })], signal);
    await host.ended();
    await recording?.close();
  };
}

interface Start {
  readonly host: SpeakerHost;
  readonly services: readonly Service[];
}

type HostWith = (fib: SpeakerHostDeps["fib"]) => SpeakerHost;

/**
 * Nothing of the kernel is read or written: no privilege is needed. Whether there was an earlier run
 * nobody knows, so each start is a restart.
 */
function startAlone(ownAddresses: readonly IpAddr[], hostWith: HostWith): Start {
  const fib = { size: 0, setRoutes: () => undefined, converged: () => undefined };
  const host = hostWith(fib);
  host.post({ kind: "restarted" });
  host.post({ kind: "nextHops", nextHops: new NextHops({ routes: [], ownAddresses }) });
  return { host, services: [] };
}

async function startOnKernel(
  speaker: Speaker,
  deps: {
    readonly kernel: Kernel;
    readonly refreshMs?: number;
    readonly table?: number;
    readonly clock: Clock;
    readonly log: Logger;
  },
  { hostWith, signal }: { readonly hostWith: HostWith; readonly signal: AbortSignal },
): Promise<Start> {
  const { kernel, clock, log } = deps;
  const fib = new FibSync({
    ...deps,
    mayKeep: speaker.mayKeep.bind(speaker),
    isHandedOver: (route) => speaker.forwarding.isHandedOver(route),
    ownsTunnel: () => speaker.config?.programs.includes("ipip") === true,
  });
  const reachability = new Reachability(kernel, clock, log);
  const onEvents = (events: readonly KernelEvent[]) => {
    fib.onKernelEvents(events);
    reachability.onKernelEvents(events);
  };
  const watched = watchKernel(kernel, { onEvents, clock, log }, signal);
  const adopted = await fib.adopt();
  if (adopted > 0) log.info({ routes: adopted }, "Routes of an earlier run kept");
  const host = hostWith(fib);
  if (adopted > 0) host.post({ kind: "restarted" });
  host.post({ kind: "nextHops", nextHops: await reachability.read() });
  return {
    host,
    services: [
      () => watched,
      (stop) => fib.run(stop),
      (stop) => reachability.run((nextHops) => host.post({ kind: "nextHops", nextHops }), stop),
    ],
  };
}

/** Follows the kernel's changes. After a failure they count as lost. */
async function watchKernel(
  kernel: Kernel,
  deps: {
    readonly onEvents: (events: readonly KernelEvent[]) => void;
    readonly clock: Clock;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await kernel.monitor(deps.onEvents, signal);
      if (signal.aborted) return;
    } catch (error) {
      deps.log.warn({ reason: errorMessage(error) }, "Kernel monitor ended");
    }
    deps.onEvents([{ kind: "lost" }]);
    await deps.clock.sleep(monitorRetryMs, signal).catch(() => undefined);
  }
}
