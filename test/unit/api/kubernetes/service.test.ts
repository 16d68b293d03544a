import assert from "node:assert/strict";
import { test } from "node:test";
import { readManifest } from "../../../../src/api/manifest.ts";
import { decodeResource, decodeStored } from "../../../../src/api/validate.ts";

const service = (spec: object, apiVersion = "v1") => ({
  apiVersion,
  kind: "Service",
  metadata: { name: "web", namespace: "shop" },
  spec,
});
const slice = (fields: object) => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "web-x", labels: { "kubernetes.io/service-name": "web" } },
  ...fields,
});

test("A Service is kept as it is, with all that does not concern us", () => {
  const input = {
    ...service({
      type: "LoadBalancer",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10"],
      ipFamilies: ["IPv4"],
      externalIPs: ["192.0.2.7"],
      externalTrafficPolicy: "Local",
      selector: { app: "web" },
      ports: [{ port: 80, targetPort: "http" }],
      sessionAffinity: "None",
    }),
    status: { loadBalancer: { ingress: [{ ip: "198.51.100.7" }] } },
  };
  assert.deepEqual(decodeResource(input), input);
  assert.equal(decodeStored(input).ok, true);
});

test("An EndpointSlice has its endpoints beside the metadata, and no spec", () => {
  const input = slice({
    addressType: "IPv4",
    endpoints: [
      {
        addresses: ["10.65.0.2"],
        conditions: { ready: true, serving: true },
        nodeName: "a",
        targetRef: { kind: "Pod" },
      },
    ],
    ports: [{ name: "http", port: 8080 }],
  });
  const { spec, ...rest } = decodeResource(input);
  assert.deepEqual(spec, {});
  assert.deepEqual(rest, {
    ...input,
    metadata: { ...input.metadata, namespace: "default" },
  });
});

const refused: readonly (readonly [object, RegExp])[] = [
  [service({}, "projectcalico.org/v3"), /apiVersion: must be v1, got "projectcalico.org\/v3"/],
  [service({ type: "Balancer" }), /spec.type: must be ClusterIP, NodePort, LoadBalancer or/],
  [service({ externalIPs: ["192.0.2"] }), /spec.externalIPs\[0\]: Cannot parse address "192.0.2"/],
  [
    service({ externalTrafficPolicy: "local" }),
    /spec.externalTrafficPolicy: must be Cluster or Local/,
  ],
  [slice({ addressType: "ipv4" }), /addressType: must be IPv4, IPv6 or FQDN, got "ipv4"/],
  [
    slice({ endpoints: [{ conditions: { ready: "yes" } }] }),
    /endpoints\[0\].conditions.ready: must be true or false, got "yes"/,
  ],
  [slice({ subsets: [] }), /subsets: unknown field/],
];

for (const [input, message] of refused) {
  test(`A Service or EndpointSlice is refused: ${message.source}`, () => {
    assert.throws(() => decodeResource(input), { name: "InputError", message });
  });
}

test("A manifest holds Services and EndpointSlices beside our own kinds", () => {
  const pool = {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name: "p" },
    spec: { cidr: "10.0.0.0/16" },
  };
  const items = readManifest([service({ clusterIP: "10.96.0.10" }), slice({}), pool]);
  assert.deepEqual(
    items.map(({ as, apiVersion, problem }) => [as.kind, as.namespace, apiVersion, problem]),
    [
      ["Service", "shop", "v1", undefined],
      ["EndpointSlice", "default", "discovery.k8s.io/v1", undefined],
      ["IPPool", undefined, "projectcalico.org/v3", undefined],
    ],
  );
});
