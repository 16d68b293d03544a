import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IPPool } from "../../src/api/resources/ip-pool.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { EtcdServer } from "../../test/support/etcd-server.ts";
import { findKubeApiServer } from "../../test/support/kube-apiserver/program.ts";
import { KubeApiServer } from "../../test/support/kube-apiserver.ts";

/** A datastore in use, and what ends it. */
export interface Store {
  readonly datastore: Datastore;
  /** Of its server; empty where it has none. */
  readonly endpoint: string;
  /** Another process' view of the same. */
  connect(): Promise<Datastore>;
  end(): Promise<void>;
}

export async function embedded(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  const opened: Datastore[] = [];
  const connect = async () => {
    const datastore = openEmbeddedDatastore(folder);
    opened.push(datastore);
    return datastore;
  };
  const end = async () => {
    for (const each of opened) await each.close();
    rmSync(folder, { recursive: true });
  };
  return { datastore: await connect(), endpoint: "", connect, end };
}

export async function etcd(): Promise<Store> {
  const server = await EtcdServer.start();
  const opened: Datastore[] = [];
  const connect = async () => {
    const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
    opened.push(datastore);
    return datastore;
  };
  const end = async () => {
    for (const each of opened) await each.close();
    await server.stop();
  };
  return { datastore: await connect(), endpoint: server.endpoint, connect, end };
}

export async function withStore<Result>(
  open: () => Promise<Store>,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  const store = await open();
  try {
    return await work(store);
  } finally {
    await store.end();
  }
}

/** The program may be built here, or not. */
async function kubernetes(program: string): Promise<Store> {
  const server = await KubeApiServer.start(program);
  await server.installCrds("crd.projectcalico.org");
  const access = { kubeconfig: server.kubeconfig() };
  const opened: Datastore[] = [];
  const connect = async () => {
    const datastore = await openKubernetesDatastore({
      access,
      apiGroup: "crd.projectcalico.org/v1",
    });
    opened.push(datastore);
    return datastore;
  };
  const end = async () => {
    for (const each of opened) await each.close();
    await server.remove();
  };
  return { datastore: await connect(), endpoint: server.endpoint, connect, end };
}

/** How to open each kind of store that there is on this machine, or why it cannot be. */
export function storesHere(): Readonly<Record<string, (() => Promise<Store>) | string>> {
  const program = findKubeApiServer();
  return {
    embedded,
    etcd,
    "kube-apiserver": "path" in program ? () => kubernetes(program.path) : program.missing,
  };
}

const apiVersion = "projectcalico.org/v3";

export async function createPool(datastore: Datastore, cidr: string, name = "pods"): Promise<void> {
  const pool: IPPool = { apiVersion, kind: "IPPool", metadata: { name }, spec: { cidr } };
  await datastore.create<"IPPool">(pool);
}

export async function createCluster(datastore: Datastore, cidr: string): Promise<void> {
  await createPool(datastore, cidr);
  const metadata = { name: "default" };
  await datastore.create<"IPAMConfiguration">({
    apiVersion,
    kind: "IPAMConfiguration",
    metadata,
    spec: {},
  });
}

export async function createNode(datastore: Datastore, name: string): Promise<void> {
  await datastore.create<"Node">({ apiVersion, kind: "Node", metadata: { name }, spec: {} });
}
