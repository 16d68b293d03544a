import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import type { ApiGroup } from "../../src/datastore/kubernetes/collections.ts";
import {
  type KubernetesConfig,
  openKubernetesDatastore,
} from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { KubeApiServer, type ServerOptions } from "../support/kube-apiserver.ts";
import type { DriverUnderTest } from "./datastore.suite.ts";

/** Declares tests on a real API server with Calico's CRDs, or one skipped test that says why not. */
export async function withKubeApiServer(
  apiGroups: readonly ApiGroup[],
  declare: (server: KubeApiServer) => Promise<void> | void,
  options: ServerOptions = {},
): Promise<void> {
  const found = findKubeApiServer();
  if ("missing" in found) {
    test("kubernetes", { skip: found.missing }, () => undefined);
    return;
  }
  const server = await KubeApiServer.start(found.path, options);
  after(() => server.remove());
  for (const apiGroup of apiGroups) {
    await server.installCrds(
      apiGroup === "crd.projectcalico.org/v1" ? "crd.projectcalico.org" : "projectcalico.org",
    );
  }
  await declare(server);
}

export function configOf(
  server: KubeApiServer,
  apiGroup: ApiGroup = "crd.projectcalico.org/v1",
): KubernetesConfig {
  return { access: { kubeconfig: server.kubeconfig() }, apiGroup };
}

/** One that waits long, as a healthy server on a busy machine may need: a success never waits. */
export async function openPatiently(
  server: KubeApiServer,
  apiGroup?: ApiGroup,
): Promise<Datastore> {
  return await openKubernetesDatastore(configOf(server, apiGroup), { deadlineMs: 60_000 });
}

/** The driver for an API server that nobody has written Calico's objects to. */
export async function kubernetesDriver(
  server: KubeApiServer,
  apiGroup: ApiGroup,
): Promise<DriverUnderTest> {
  await server.createNamespaces("a", "b", "w", "many");
  return {
    name: `kubernetes ${apiGroup}`,
    open: () => openPatiently(server, apiGroup),
    // What a server remembers of changes is gone with it, and etcd's memory by compaction.
    compact: async (revision) => {
      await server.etcd.compact(revision);
      await server.stop();
      await server.start();
    },
    createMany: (policies, revisions) => putPolicies(server, { apiGroup, policies, revisions }),
    server,
    openAt: (endpoint) => openAt(server, endpoint, apiGroup),
    ordersKinds: false,
  };
}

/** A connection to the server through another endpoint, which gives up on a silent one soon. */
export async function openAt(
  server: KubeApiServer,
  endpoint: string,
  apiGroup?: ApiGroup,
): Promise<Datastore> {
  const { access, ...config } = configOf(server, apiGroup);
  return await openKubernetesDatastore(
    { ...config, access: { ...access, endpoint } },
    { deadlineMs: 2_000, silenceMs: 300 },
  );
}

/**
 * Writes Calico policies into the API server's own store, 20 times as fast as it would. Where some share
 * a revision, nobody may watch meanwhile.
 */
export async function putPolicies(
  server: KubeApiServer,
  {
    apiGroup,
    policies,
    revisions,
  }: {
    readonly apiGroup: ApiGroup;
    readonly policies: readonly NetworkPolicy[];
    readonly revisions: "one each" | "shared";
  },
): Promise<void> {
  const [group] = apiGroup.split("/");
  const values = policies.map((policy): [string, string] => {
    const { name, namespace } = policy.metadata;
    const identity = { uid: randomUUID(), creationTimestamp: "2026-01-01T00:00:00Z" };
    const metadata = { ...policy.metadata, ...identity, generation: 1 };
    const stored = { ...policy, apiVersion: apiGroup, metadata };
    return [`/registry/${group}/networkpolicies/${namespace}/${name}`, JSON.stringify(stored)];
  });
  await server.etcd.put(new Map(values), revisions);
}
