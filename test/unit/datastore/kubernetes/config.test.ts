import assert from "node:assert/strict";
import { test } from "node:test";
import { kubernetesConfigOf } from "../../../../src/datastore/kubernetes/kubernetes-config.ts";
import { openDatastore } from "../../../../src/datastore/open-datastore.ts";

test("facts 2.7: the environment tells where the API server is, also with the prefix CALICO_", () => {
  assert.deepEqual(kubernetesConfigOf({}), { apiGroup: "crd.projectcalico.org/v1", access: {} });
  assert.deepEqual(
    kubernetesConfigOf({
      KUBECONFIG: "/etc/kubeconfig",
      CALICO_K8S_CURRENT_CONTEXT: "one",
      K8S_API_ENDPOINT: "https://127.0.0.1:6443",
      K8S_CA_FILE: "ca.crt",
      K8S_INSECURE_SKIP_TLS_VERIFY: "true",
      CALICO_API_GROUP: "projectcalico.org/v3",
      FELIX_INTERFACEPREFIX: "eni,cali",
    }),
    {
      apiGroup: "projectcalico.org/v3",
      interfacePrefix: "eni",
      access: {
        kubeconfig: "/etc/kubeconfig",
        context: "one",
        endpoint: "https://127.0.0.1:6443",
        caFile: "ca.crt",
        skipTlsVerify: true,
      },
    },
  );
});

test("a value that cannot be is refused with its name", async () => {
  assert.throws(() => kubernetesConfigOf({ CALICO_API_GROUP: "v3" }), /CALICO_API_GROUP "v3"/);
  assert.throws(() => kubernetesConfigOf({ K8S_API_ENDPOINT: "host" }), /K8S_API_ENDPOINT "host"/);
  const env = { DATASTORE_TYPE: "kubernetes", KUBECONFIG: "/absent/config" };
  await assert.rejects(openDatastore(env), /KUBECONFIG "\/absent\/config"/);
});
