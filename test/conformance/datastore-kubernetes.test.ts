import { withWatchList } from "../support/kube-apiserver.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";
import { kubernetesLists } from "./kubernetes-lists.suite.ts";
import { kubernetesDriver, withKubeApiServer } from "./kubernetes-server.ts";

const apiGroup = "crd.projectcalico.org/v1";

/** With Debian's etcd, which is too old for lists that are watches. */
await withKubeApiServer(
  [apiGroup],
  async (server) => {
    const driver = await kubernetesDriver(server, apiGroup);
    kubernetesLists(server, apiGroup, "pages");
    await datastoreSuite(driver);
    await datastoreLoadSuite(driver);
  },
  { flags: withWatchList },
);
