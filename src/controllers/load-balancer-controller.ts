import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import { errorMessage } from "../lib/errors.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices, type Service } from "../lib/service.ts";
import { LoadBalancer, type LoadBalancerPorts } from "./load-balancer.ts";
import { type CountedPorts, counted } from "./reconcile-counts.ts";

const paces = { minIntervalMs: 1_000, retryIntervalMs: 5_000, maxIntervalMs: 60_000 };

/**
 * Gives Services of the type LoadBalancer addresses of the pools that are for them, tells them in the Services'
 * status, and takes them back from Services that are gone or want others (facts 3.11).
 */
export function loadBalancerController(ports: LoadBalancerPorts & CountedPorts): Service {
  const { clock, log } = ports;
  const onError = (error: unknown) =>
    log.error({ reason: errorMessage(error) }, "Cannot give Services their addresses");
  const kinds = ["Service", "IPPool", "KubeControllersConfiguration"] as const;
  return (signal) => {
    const runner = new PacedRunner(paces, clock);
    // Anew each time: who led before knows nothing of what went while another did.
    const balancer = new LoadBalancer(ports);
    const callbacks = {
      onUpdates: (updates: readonly Update[]) => {
        if (balancer.learn(updates)) runner.request();
      },
      onStatus: (status: string) => {
        if (status !== "in-sync") return;
        balancer.isInSync = true;
        runner.request();
      },
    };
    return runServices(
      [
        (stop) =>
          runner.start(
            counted(ports, "loadBalancer", () => balancer.reconcile(stop)),
            onError,
            stop,
          ),
        (stop) => runSyncer({ kinds }, { ...ports, callbacks }, stop),
      ],
      signal,
    );
  };
}
