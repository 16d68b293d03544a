import { kubernetesConfigOf } from "../datastore/kubernetes/kubernetes-config.ts";
import { datastoreType } from "../datastore/open-datastore.ts";
import { Backoff } from "../lib/backoff.ts";
import { systemClock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { nodeNameOf } from "../node/node-name.ts";
import type { Environment } from "./process.ts";

/** Whether the node's pods get their network from us, so that Kubernetes is told of it (facts 1.1). */
export function tellsOfNetwork(env: Environment): boolean {
  return datastoreType(env) === "kubernetes" && env["CALICO_NETWORKING_BACKEND"] !== "none";
}

/** Says whether this node has a network. @throws {DatastoreError} */
export async function tellOfNetwork(env: Environment, available: boolean): Promise<void> {
  const { setNetworkAvailable } = await import("../datastore/kubernetes/network-condition.ts");
  const name = env["CALICO_K8S_NODE_REF"] || nodeNameOf(env);
  await setNetworkAvailable(kubernetesConfigOf(env), { name, available, clock: systemClock });
}

/** Says that this node has a network, until it is heard. */
export async function tellOfNetworkSurely(
  env: Environment,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const pauses = new Backoff({ minMs: 500, maxMs: 30_000 });
  while (!signal.aborted) {
    try {
      await tellOfNetwork(env, true);
      return;
    } catch (error) {
      log.error(
        { reason: errorMessage(error) },
        "Kubernetes does not know that this node has a network",
      );
      await systemClock.sleep(pauses.next(), signal).catch(() => undefined);
    }
  }
}

/** `tortie node shutdown`: what preStop calls. Gives the exit code. */
export async function runNodeShutdown(env: Environment): Promise<number> {
  if (tellsOfNetwork(env)) await tellOfNetwork(env, false);
  return 0;
}
