import { leaseNamespace } from "../../src/api/leases.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { KubeApiServer } from "../support/kube-apiserver.ts";
import { createNode } from "./create-node.ts";
import { EmbeddedServer } from "./embedded-server.ts";
import type { SoakServer } from "./soak.ts";
import { soakNamespaces, type WriterStore } from "./writer.ts";

/** Makes a server that runs. A test that cannot have it is skipped with the reason that is thrown. */
export const soakServers: Readonly<Record<string, () => Promise<SoakServer>>> = {
  embedded: async () => {
    const server = new EmbeddedServer();
    await server.start();
    return server;
  },
  etcd: async () => new EtcdSoakServer(await EtcdServer.start()),
  kubernetes: async () => {
    const found = findKubeApiServer();
    if ("missing" in found) throw new Error(found.missing);
    const server = await KubeApiServer.start(found.path);
    await server.installCrds("crd.projectcalico.org");
    await server.createNamespaces(...soakNamespaces, leaseNamespace);
    return new KubernetesSoakServer(server);
  },
};

/** How it ends: by a crash, and now and then in order. */
function signalOf(round: number): NodeJS.Signals {
  return round % 4 === 0 ? "SIGTERM" : "SIGKILL";
}

class EtcdSoakServer implements SoakServer {
  readonly name = "etcd";
  readonly #server: EtcdServer;

  constructor(server: EtcdServer) {
    this.#server = server;
  }

  get env(): Readonly<Record<string, string>> {
    return { DATASTORE_TYPE: "etcdv3", ETCD_ENDPOINTS: this.#server.endpoint };
  }

  createNode(name: string): Promise<void> {
    return createNode(this, name);
  }

  open(): Promise<Datastore> {
    return openEtcdDatastore({ endpoints: [this.#server.endpoint] });
  }

  openForWriter(): Promise<WriterStore> {
    return this.open();
  }

  async kill(round: number): Promise<void> {
    await this.#server.stop(signalOf(round));
  }

  /** Every third time it has forgotten what was before, and a watcher must list again. */
  async start(round: number): Promise<void> {
    await this.#server.start();
    if (round % 3 !== 0) return;
    const reader = await this.open();
    try {
      await this.#server.compact((await reader.list("GlobalNetworkSet")).revision);
    } finally {
      await reader.close();
    }
  }

  async remove(): Promise<void> {
    await this.#server.remove();
  }
}

class KubernetesSoakServer implements SoakServer {
  readonly name = "kubernetes";
  readonly #server: KubeApiServer;

  constructor(server: KubeApiServer) {
    this.#server = server;
  }

  get env(): Readonly<Record<string, string>> {
    return { DATASTORE_TYPE: "kubernetes", KUBECONFIG: this.#server.kubeconfig() };
  }

  async createNode(name: string): Promise<void> {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
    await this.#server.must("POST", "/api/v1/nodes", node);
  }

  open(): Promise<Datastore> {
    const access = { kubeconfig: this.#server.kubeconfig() };
    return openKubernetesDatastore({ access, apiGroup: "crd.projectcalico.org/v1" });
  }

  openForWriter(): Promise<WriterStore> {
    return this.open();
  }

  /** Every third time its etcd is killed as well. */
  async kill(round: number): Promise<void> {
    await this.#server.stop(signalOf(round));
    if (round % 3 === 0) await this.#server.etcd.stop("SIGKILL");
  }

  async start(round: number): Promise<void> {
    if (round % 3 === 0) await this.#server.etcd.start();
    await this.#server.start();
  }

  async remove(): Promise<void> {
    await this.#server.remove();
  }
}
