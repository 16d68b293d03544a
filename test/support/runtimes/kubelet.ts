import { setTimeout as delay } from "node:timers/promises";
import { errorMessage } from "../../../src/lib/errors.ts";
import type { KubeApiServer } from "../kube-apiserver.ts";
import type { Cri, CriPod, PodRequest } from "./cri.ts";

const periodMs = 100;

/** What of a Pod object is acted on. */
interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly hostNetwork?: boolean;
    readonly containers: readonly {
      readonly command?: readonly string[];
      readonly ports?: readonly { readonly containerPort: number; readonly hostPort?: number }[];
    }[];
    readonly dnsConfig?: { readonly nameservers?: readonly string[] };
  };
}

interface Running {
  busy: boolean;
  /** How many sandboxes were tried. */
  attempts: number;
  pod?: CriPod;
  /** Its status is written. */
  reported?: boolean;
}

/**
 * Kubelet's part for one node: makes a sandbox with one container for each pod of the node, writes its
 * status, and removes it with its object. It looks again and again, so that an API server that is away,
 * or a runtime that was killed, only delays it.
 */
export class Kubelet {
  readonly #node: string;
  readonly #server: KubeApiServer;
  readonly #cri: Cri;
  /** By the pod's UID. */
  readonly #pods = new Map<string, Running>();
  readonly #failures = new Map<string, string>();
  readonly #stop = new AbortController();
  #ended: Promise<void> | undefined;

  constructor(node: string, server: KubeApiServer, cri: Cri) {
    this.#node = node;
    this.#server = server;
    this.#cri = cri;
  }

  start(): void {
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** What runs, by the UID of its Pod. */
  podOf(uid: string): CriPod | undefined {
    return this.#pods.get(uid)?.pod;
  }

  /** Why the pod's sandbox could not be made when it was tried last: "namespace/name". */
  failureOf(pod: string): string | undefined {
    return this.#failures.get(pod);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look().catch(() => undefined);
      await delay(periodMs);
    }
  }

  async #look(): Promise<void> {
    const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${this.#node}`;
    const { items } = (await this.#server.must("GET", path)) as { items: Pod[] };
    for (const pod of items) {
      if (pod.spec.hostNetwork === true) continue;
      const running = this.#pods.get(pod.metadata.uid);
      if (pod.metadata.deletionTimestamp !== undefined) this.#begin(pod, () => this.#end(pod));
      else if (running?.reported !== true) this.#begin(pod, () => this.#make(pod));
    }
    const present = new Set(items.map(({ metadata }) => metadata.uid));
    for (const uid of this.#pods.keys()) {
      if (!present.has(uid)) this.#begin({ metadata: { uid } }, () => this.#remove(uid));
    }
  }

  /** One step for a pod at a time. */
  #begin({ metadata }: { metadata: { uid: string } }, step: () => Promise<void>): void {
    const running = this.#pods.get(metadata.uid) ?? { busy: false, attempts: 0 };
    if (running.busy) return;
    running.busy = true;
    this.#pods.set(metadata.uid, running);
    void step()
      .catch(() => undefined)
      .finally(() => {
        running.busy = false;
      });
  }

  async #make(pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const running = this.#pods.get(uid);
    if (running === undefined) return;
    const key = `${namespace}/${name}`;
    try {
      const attempt = running.attempts;
      running.attempts++;
      running.pod ??= await this.#cri.runPod({ ...requestOf(pod), attempt });
      this.#failures.delete(key);
      const status = statusOf(running.pod);
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
      await this.#server.must("PATCH", path, { status }, "application/merge-patch+json");
      running.reported = true;
    } catch (error) {
      this.#failures.set(key, errorMessage(error));
      // As kubelet's back-off, only shorter.
      await delay(5 * periodMs);
    }
  }

  async #end({ metadata }: Pod): Promise<void> {
    const { name, namespace, uid } = metadata;
    await this.#remove(uid);
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await this.#server.request("DELETE", path, options);
  }

  /** Also sandboxes whose network could not be made, nor removed: the runtime keeps them. */
  async #remove(uid: string): Promise<void> {
    const sandboxes = await this.#cri.sandboxes();
    for (const { id, pod } of sandboxes) if (pod === uid) await this.#cri.removeSandbox(id);
    this.#pods.delete(uid);
  }
}

function requestOf({ metadata, spec }: Pod): PodRequest {
  const [container] = spec.containers;
  const [nameserver] = spec.dnsConfig?.nameservers ?? [];
  return {
    ...metadata,
    ...(container?.command === undefined ? {} : { command: container.command }),
    ...(nameserver === undefined ? {} : { nameserver }),
    hostPorts: (container?.ports ?? []).flatMap(({ hostPort, containerPort }) =>
      hostPort === undefined ? [] : [{ hostPort, containerPort }],
    ),
  };
}

function statusOf({ addresses }: CriPod): object {
  return {
    phase: "Running",
    podIP: addresses[0],
    podIPs: addresses.map((ip) => ({ ip })),
    conditions: [{ type: "Ready", status: "True" }],
  };
}
