import { datastoreSuite } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";
import { kubernetesDriver, withKubeApiServer } from "./kubernetes-server.ts";

await withKubeApiServer(["crd.projectcalico.org/v1"], async (server) => {
  const driver = await kubernetesDriver(server, "crd.projectcalico.org/v1");
  await datastoreSuite(driver);
  await datastoreLoadSuite(driver);
});
