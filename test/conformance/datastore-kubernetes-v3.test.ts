import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { configOf, openAt, putPolicies, withKubeApiServer } from "./kubernetes-server.ts";

await withKubeApiServer("projectcalico.org/v3", async (server) => {
  await server.createNamespaces("a", "b", "w", "many");
  datastoreSuite({
    name: "kubernetes v3",
    open: () => openKubernetesDatastore(configOf(server, "projectcalico.org/v3")),
    // What a server remembers of changes is gone with it, and etcd's memory by compaction.
    compact: async (revision) => {
      await server.etcd.compact(revision);
      await server.stop();
      await server.start();
    },
    createMany: (policies) => putPolicies(server, "projectcalico.org/v3", policies),
    server,
    openAt: (endpoint) => openAt(server, endpoint, "projectcalico.org/v3"),
    ordersKinds: false,
  });
});
