import { enabledCopies } from "../controllers/kubernetes-copies/copy-rules.ts";
import { kubernetesCopies } from "../controllers/kubernetes-copies/kubernetes-copies.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { kubernetesConfigOf } from "../datastore/kubernetes/kubernetes-config.ts";
import { openKubernetesDatastore } from "../datastore/kubernetes/kubernetes-datastore.ts";
import { datastoreType, variable } from "../datastore/open-datastore.ts";
import type { Clock } from "../lib/clock.ts";
import { durationSeconds } from "../lib/duration.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";
import type { Environment } from "./process.ts";

const defaultPeriod = "5m";

interface Ports {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Copies of what Kubernetes says, where the datastore is etcd and there is a Kubernetes. Undefined: nothing is to be
 * copied.
 *
 * @throws {InputError} for ENABLED_CONTROLLERS or RECONCILER_PERIOD, or how the API server is to be reached.
 */
export function copiesOf(env: Environment, ports: Ports): Service | undefined {
  if (datastoreType(env) !== "etcdv3" || !namesKubernetes(env)) return undefined;
  const controllers = enabledCopies(env["ENABLED_CONTROLLERS"]);
  if (controllers.length === 0) return undefined;
  const config = { controllers, periodMs: periodMs(env["RECONCILER_PERIOD"] || defaultPeriod) };
  const access = { ...kubernetesConfigOf(env), nativeOnly: true };
  return async (signal) => {
    const source = await openKubernetesDatastore(access);
    try {
      ports.log.info({ controllers }, "what Kubernetes says is copied into etcd");
      await kubernetesCopies(config, { ...ports, source })(signal);
    } finally {
      await source.close();
    }
  };
}

function periodMs(text: string): number {
  try {
    return durationSeconds(text) * 1000;
  } catch (cause) {
    throw new InputError(`Cannot accept RECONCILER_PERIOD: ${errorMessage(cause)}`, { cause });
  }
}

/** In a pod, or by what the environment says. */
function namesKubernetes(env: Environment): boolean {
  const names = ["KUBECONFIG", "K8S_API_ENDPOINT"];
  return names.some((name) => variable(env, name)) || Boolean(env["KUBERNETES_SERVICE_HOST"]);
}
