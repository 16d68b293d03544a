import { before, describe } from "node:test";
import { findNewEtcd } from "../support/etcd/program.ts";
import { withWatchList } from "../support/kube-apiserver.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { kubernetesCopies } from "./kubernetes-copies.suite.ts";
import { kubernetesCrds } from "./kubernetes-crds.suite.ts";
import { kubernetesFaults } from "./kubernetes-faults.suite.ts";
import { kubernetesIpam } from "./kubernetes-ipam.suite.ts";
import { kubernetesLists } from "./kubernetes-lists.suite.ts";
import { kubernetesMachines } from "./kubernetes-machines.suite.ts";
import { kubernetesObjects } from "./kubernetes-objects.suite.ts";
import { kubernetesPools } from "./kubernetes-pools.suite.ts";
import { kubernetesDriver, withKubeApiServer } from "./kubernetes-server.ts";
import { kubernetesServices } from "./kubernetes-services.suite.ts";
import { migrateKubernetes } from "./migrate-kubernetes.suite.ts";

const newEtcd = findNewEtcd();

/**
 * Everything that lets its API server live shares one: a start costs 5 s of a core. Each part begins without
 * Calico's objects and nodes. Lists are watches here: every syncer of the suite begins with one.
 */
await withKubeApiServer(
  ["crd.projectcalico.org/v1", "projectcalico.org/v3"],
  async (server) => {
    const driver = await kubernetesDriver(server, "projectcalico.org/v3");
    const parts = {
      crds: () => kubernetesCrds(server),
      objects: () => kubernetesObjects(server),
      ipam: () => kubernetesIpam(server),
      pools: () => kubernetesPools(server),
      services: () => kubernetesServices(server),
      copies: () => kubernetesCopies(server),
      migrate: () => migrateKubernetes(server),
      "the other API group": () => datastoreSuite(driver),
      lists: () => kubernetesLists(server, "projectcalico.org/v3", "watch"),
      machines: () => kubernetesMachines(server),
      faults: () => kubernetesFaults(server),
    };
    for (const [name, declare] of Object.entries(parts)) {
      describe(name, async () => {
        before(() => server.forgetObjects());
        await declare();
      });
    }
  },
  // Where there is no toolchain for the one there is none for the other.
  "path" in newEtcd ? { flags: withWatchList, etcd: newEtcd.path } : {},
);
