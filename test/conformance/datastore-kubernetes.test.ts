import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { configOf, openAt, putPolicies, withKubeApiServer } from "./kubernetes-server.ts";

await withKubeApiServer("crd.projectcalico.org/v1", async (server) => {
  await server.createNamespaces("a", "b", "w", "many");
  datastoreSuite({
    name: "kubernetes",
    open: () => openKubernetesDatastore(configOf(server)),
    // What a server remembers of changes is gone with it, and etcd's memory by compaction.
    compact: async (revision) => {
      await server.etcd.compact(revision);
      await server.stop();
      await server.start();
    },
    createMany: (policies) => putPolicies(server, "crd.projectcalico.org/v1", policies),
    server,
    openAt: (endpoint) => openAt(server, endpoint),
    ordersKinds: false,
  });
});
