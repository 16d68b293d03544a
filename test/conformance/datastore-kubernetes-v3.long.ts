import { datastoreSuite } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";
import { kubernetesDriver, withKubeApiServer } from "./kubernetes-server.ts";

/** The other API group has only other paths: `npm test` runs the first of the two suites (kubernetes.test.ts). */
await withKubeApiServer(["projectcalico.org/v3"], async (server) => {
  const driver = await kubernetesDriver(server, "projectcalico.org/v3");
  await datastoreSuite(driver);
  await datastoreLoadSuite(driver);
});
