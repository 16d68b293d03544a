import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kind } from "../../../src/api/resource-of-kind.ts";
import { type ServerSchema, serverSchema } from "../../../src/api/schemas/schema.ts";
import { specChecks } from "../../../src/api/spec-checks.ts";
import { decodeResource } from "../../../src/api/validate.ts";
import { bpfParameters, felixParameters } from "./felix-parameters.ts";
import { wholeSpecs } from "./whole-specs.ts";

/** Facts section 2 and appendix A, field by field. */

type Spec = Readonly<Record<string, unknown>>;

function resource(kind: string, spec: Spec, metadata: Spec = { name: "x" }): unknown {
  return { apiVersion: "projectcalico.org/v3", kind, metadata, spec };
}

/** Fields that exclude others, so that no whole spec has them. */
const exclusive: Partial<Record<Kind, readonly string[]>> = {
  BGPPeer: ["keepOriginalNextHop", "localWorkloadSelector", "nodeSelector", "peerSelector"],
};

/** Fields that a rule has only in the other direction. */
const misplaced =
  /^(ingress\[\]\.destination\.services|egress\[\]\.(source\.services|http)|importV[46]\[\]\.source$)/;

/** "a", "a.b", "c[].d" of every field. */
function fieldsOfSchema(schema: ServerSchema, path = ""): string[] {
  const { properties, items } = schema as {
    readonly properties?: Readonly<Record<string, ServerSchema>>;
    readonly items?: ServerSchema;
  };
  if (items !== undefined) return fieldsOfSchema(items, `${path}[]`);
  return Object.entries(properties ?? {}).flatMap(([name, inner]) => {
    const field = path === "" ? name : `${path}.${name}`;
    return [field, ...fieldsOfSchema(inner, field)];
  });
}

function fieldsOfValue(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOfValue(item, `${path}[]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const field = path === "" ? name : `${path}.${name}`;
    return [field, ...fieldsOfValue(inner, field)];
  });
}

for (const [kind, { name = "x", spec }] of Object.entries(wholeSpecs)) {
  test(`${kind}: every field is accepted, and none is missing here`, () => {
    const decoded = decodeResource(resource(kind, spec, { name }));
    assert.deepEqual(Object.keys(decoded.spec).sort(), Object.keys(spec).sort());
    const given = new Set(fieldsOfValue(spec));
    const known = fieldsOfSchema(serverSchema(specChecks[kind as Kind]));
    const missing = new Set(known.filter((field) => !given.has(field) && !misplaced.test(field)));
    assert.deepEqual([...missing].sort(), exclusive[kind as Kind] ?? []);
  });

  test(`${kind}: a field that nobody knows is refused by its name`, () => {
    const bad = resource(kind, { ...spec, fromTheFuture: 1 }, { name });
    assert.throws(() => decodeResource(bad), /: spec\.fromTheFuture: unknown field/);
  });
}

const felix = (spec: Spec) => resource("FelixConfiguration", spec, { name: "default" });

for (const [name, accepted, refused] of felixParameters) {
  test(`FelixConfiguration.${name} takes ${JSON.stringify(accepted)}, not ${JSON.stringify(refused)}`, () => {
    assert.deepEqual(Object.keys(decodeResource(felix({ [name]: accepted })).spec), [name]);
    assert.throws(() => decodeResource(felix({ [name]: refused })), {
      name: "InputError",
      message: new RegExp(`^Cannot accept FelixConfiguration "default": spec\\.${name}\\b.*: `),
    });
  });
}

test("FelixConfiguration keeps the parameters of eBPF and of debugging as they are", () => {
  const names = [...bpfParameters, "debugPort", "debugHost", "debugSimulateCalcGraphHangAfter"];
  const spec = Object.fromEntries(names.map((name) => [name, { any: "thing" }]));
  assert.deepEqual(decodeResource(felix(spec)).spec, spec);
});

const rule = (given: Spec, direction = "ingress") =>
  resource("NetworkPolicy", { [direction]: [{ action: "Allow", ...given }] });
const global = (given: Spec) =>
  resource("GlobalNetworkPolicy", { ingress: [{ action: "Allow", ...given }] });
const node = (spec: Spec) => resource("Node", spec);
const pool = (spec: Spec) => resource("IPPool", { cidr: "10.0.0.0/16", ...spec });
const config = (spec: Spec) => resource("BGPConfiguration", spec, { name: "default" });
const peer = (spec: Spec) => resource("BGPPeer", { peerIP: "192.0.2.1", ...spec });
const endpoint = (spec: Spec) =>
  resource(
    "WorkloadEndpoint",
    { orchestrator: "k8s", node: "a", endpoint: "eth0", interfaceName: "cali1", ...spec },
    { name: "a-k8s-b-eth0" },
  );
const labeled = (kind: string, namespace?: string) =>
  resource(
    kind,
    {},
    {
      name: "x",
      ...(namespace === undefined ? {} : { namespace }),
      labels: { "projectcalico.org/namespace": "shop" },
    },
  );

/** What is refused besides validate.test.ts: the field, and what is said of it. */
const refusals: readonly (readonly [input: unknown, message: string])[] = [
  [node({ bgp: {} }), "spec.bgp: may not be empty"],
  [
    node({ bgp: { ipv4Address: "fd00::1/64" } }),
    'spec.bgp.ipv4Address: must be an IPv4 address with a length, got "fd00::1/64"',
  ],
  [
    node({ bgp: { ipv6Address: "192.0.2.1/24" } }),
    'spec.bgp.ipv6Address: must be an IPv6 address with a length, got "192.0.2.1/24"',
  ],
  [
    node({ bgp: { routeReflectorClusterID: "fd00::1" } }),
    'spec.bgp.routeReflectorClusterID: must be an IPv4 address, got "fd00::1"',
  ],
  [
    node({ ipv6VXLANTunnelAddr: "10.0.0.1" }),
    'spec.ipv6VXLANTunnelAddr: must be an IPv6 address, got "10.0.0.1"',
  ],
  [
    node({ wireguard: { interfaceIPv4Address: "fd00::1" } }),
    'spec.wireguard.interfaceIPv4Address: must be an IPv4 address, got "fd00::1"',
  ],
  [pool({ allowedUses: ["Tunnel", "Tunnel"] }), 'spec.allowedUses: has "Tunnel" twice'],
  [
    pool({ allowedUses: ["LoadBalancer"], disableBGPExport: true }),
    "spec.disableBGPExport: may not be true when allowedUses has LoadBalancer",
  ],
  [
    pool({ allowedUses: ["LoadBalancer"], nodeSelector: "has(a)" }),
    "spec.nodeSelector: must be all() when allowedUses has LoadBalancer",
  ],
  [
    pool({ allowedUses: ["LoadBalancer"], vxlanMode: "Always" }),
    "spec.allowedUses: has LoadBalancer, which needs a pool without encapsulation",
  ],
  [
    pool({ nodeSelector: "global()" }),
    "spec.nodeSelector: may not use global(): only the namespaceSelector of a rule's source or destination may",
  ],
  [
    pool({ namespaceSelector: "global()" }),
    "spec.namespaceSelector: may not use global(): only the namespaceSelector of a rule's source or destination may",
  ],
  [
    rule({ protocol: "TCP", destination: { ports: [0] } }),
    "spec.ingress[0].destination.ports[0]: must be a port from 1 to 65535, got 0",
  ],
  [
    rule({ protocol: "TCP", destination: { ports: ["0:80"] } }),
    'spec.ingress[0].destination.ports[0]: must be a port from 1 to 65535, got "0:80"',
  ],
  [
    rule({ source: { namespaceSelector: "global() && has(a)" } }),
    'spec.ingress[0].source.namespaceSelector: must be global() alone, or a selector without it, got "global() && has(a)"',
  ],
  [
    rule({ http: { paths: [{ exact: "/a", prefix: "/b" }] } }),
    "spec.ingress[0].http.paths[0]: must be exactly one of exact and prefix",
  ],
  [
    rule({ http: { paths: [{ exact: "a" }] } }),
    'spec.ingress[0].http.paths[0].exact: must be a path that begins with "/", without "?", "#" and blanks, got "a"',
  ],
  [rule({ http: { methods: ["GET", "GET"] } }), 'spec.ingress[0].http.methods: has "GET" twice'],
  [rule({ http: {} }, "egress"), "spec.egress[0].http: may only be in ingress rules"],
  [rule({ http: {}, action: "Deny" }), "spec.ingress[0].http: needs action Allow"],
  [
    resource("NetworkPolicy", { tier: "A.b" }),
    'spec.tier: must be the name of a tier, a DNS label, got "A.b"',
  ],
  [
    global({ source: { services: { name: "web" } } }),
    "spec.ingress[0].source.services.namespace: is required in a global policy",
  ],
  [
    labeled("NetworkSet", "shop"),
    'metadata.labels["projectcalico.org/namespace"]: may not be given, got "shop"',
  ],
  [
    labeled("GlobalNetworkSet"),
    'metadata.labels["projectcalico.org/namespace"]: may not be given, got "shop"',
  ],
  [
    endpoint({ ipNetworks: ["10.0.0.0/24"] }),
    'spec.ipNetworks[0]: must be one address, got "10.0.0.0/24"',
  ],
  [
    endpoint({ ipNATs: [{ internalIP: "10.0.0.1", externalIP: "192.0.2.1" }] }),
    'spec.ipNATs[0].internalIP: must be one of ipNetworks, got "10.0.0.1"',
  ],
  [
    endpoint({
      ipNetworks: ["10.0.0.1/32"],
      ipNATs: [{ internalIP: "10.0.0.1", externalIP: "fd00::1" }],
    }),
    'spec.ipNATs[0].externalIP: must be of the family of internalIP, got "fd00::1"',
  ],
  [
    endpoint({ ports: [{ name: "a", protocol: "ICMP", port: 1 }] }),
    'spec.ports[0].protocol: must be TCP, UDP or SCTP, got "ICMP"',
  ],
  [
    endpoint({ ports: [{ name: "a b", protocol: "TCP", port: 1 }] }),
    'spec.ports[0].name: must be the name of a port, got "a b"',
  ],
  [
    config({ communities: [{ name: "c", value: "1:2" }] }),
    "spec.communities: may only be given with prefixAdvertisements",
  ],
  [
    config({ prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["c"] }] }),
    'spec.prefixAdvertisements[0].communities[0]: must be a community, or the name of one in communities, got "c"',
  ],
  [
    config({ nodeToNodeMeshEnabled: false, nodeMeshPassword: {} }),
    "spec.nodeMeshPassword: may not be given when the mesh is disabled",
  ],
  [peer({ keepaliveTime: "100ms" }), 'spec.keepaliveTime: must be "1s" or more, got "100ms"'],
  [
    resource("BGPPeer", { peerSelector: "all()", reachableBy: "192.0.2.1" }),
    "spec.reachableBy: and peerSelector exclude each other",
  ],
  [peer({ ttlSecurity: 256 }), "spec.ttlSecurity: must be an integer from 1 to 255, got 256"],
  [
    resource("CalicoNodeStatus", { node: "a", classes: ["BGP", "BGP"], updatePeriodSeconds: 1 }),
    'spec.classes: has "BGP" twice',
  ],
  [
    resource("CalicoNodeStatus", { node: "a", classes: ["BGP"], updatePeriodSeconds: 86401 }),
    "spec.updatePeriodSeconds: must be an integer from 0 to 86400, got 86401",
  ],
  [
    resource("IPAMConfiguration", { autoAllocateBlocks: false }, { name: "default" }),
    "spec.autoAllocateBlocks: may be false only when strictAffinity is true",
  ],
  [
    resource("IPAMConfiguration", { ipCooldownSeconds: 1201 }, { name: "default" }),
    "spec.ipCooldownSeconds: must be an integer from 0 to 1200, got 1201",
  ],
  [
    resource("BlockAffinity", { node: "a", cidr: "10.0.0.0/26", state: "mine" }),
    'spec.state: must be pending, confirmed, pendingDeletion or empty, got "mine"',
  ],
  [
    felix({ routeTableRanges: [{ min: 9, max: 3 }] }),
    "spec.routeTableRanges[0].max: must be 9 or more, got 3",
  ],
  [
    resource("Profile", { labelsToApply: { "a b": "c" } }),
    'spec.labelsToApply: "a b" is no label name',
  ],
];

for (const [input, message] of refusals) {
  test(`decodeResource() refuses ${message.slice(0, 110)}`, () => {
    assert.throws(
      () => decodeResource(input),
      (error: Error) => {
        const [, problems = ""] = /^Cannot accept \w+ "[^"]+": (.*)$/s.exec(error.message) ?? [];
        assert.ok(problems.split("; ").includes(message), error.message);
        return error.name === "InputError";
      },
    );
  });
}
