import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { decodeResource } from "../../../src/api/validate.ts";
import { resourceVerbs, runResourceCommand } from "../../../src/cli/resource-command.ts";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

let folder = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tortie-cli-"));
});

after(() => rm(folder, { recursive: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A clock that never waits, and tells how long it would have. */
function hastyClock(slept: number[] = []): Clock {
  return {
    ...systemClock,
    sleep: async (delayMs) => {
      slept.push(delayMs);
    },
  };
}

async function run(
  command: string | readonly string[],
  datastore: MemoryDatastore = new MemoryDatastore(),
  options: { readonly stdin?: string; readonly clock?: Clock; readonly signal?: AbortSignal } = {},
): Promise<Result> {
  const argv = typeof command === "string" ? command.split(" ") : command;
  let out = "";
  let err = "";
  const code = await runResourceCommand(
    argv,
    {
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
      stdin: (async function* () {
        yield options.stdin ?? "";
      })(),
      env: { DATASTORE_TYPE: "embedded" },
    },
    {
      openDatastore: async () => datastore,
      clock: options.clock ?? hastyClock(),
      random: () => 0,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  return { code, out, err };
}

function v3(kind: string, name: string, spec: object = {}, metadata: object = {}): AnyResource {
  return decodeResource({
    apiVersion: "projectcalico.org/v3",
    kind,
    metadata: { name, ...metadata },
    spec,
  });
}

const pool = (name: string, cidr: string, spec: object = {}) =>
  v3("IPPool", name, { cidr, ...spec });

const poolText = (name: string, cidr: string, more = "") =>
  `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: ${name}}\nspec: {cidr: ${cidr}${more}}\n`;

const kubernetesPolicy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 80}]}]
`;

const away = () => new DatastoreError("connection refused", { code: "unavailable" });

test("apply creates, then replaces, and says how many of what", async () => {
  const store = new MemoryDatastore();
  const created = await run("apply -f -", store, { stdin: poolText("a", "10.0.0.0/16") });
  assert.deepEqual(created, {
    code: 0,
    out: "Successfully applied 1 'IPPool' resource(s)\n",
    err: "",
  });
  const [key] = Object.keys(store.contents());
  assert.equal(key, "IPPool/a");
  const uid = (await store.get({ kind: "IPPool", name: "a" })).metadata.uid;
  const stdin = poolText("a", "10.0.0.0/16", ", natOutgoing: true");
  assert.equal((await run("apply -f -", store, { stdin })).code, 0);
  const stored = await store.get({ kind: "IPPool", name: "a" });
  assert.equal(stored.spec.natOutgoing, true);
  assert.equal(stored.metadata.uid, uid);
  assert.ok(store.closed);
});

test("apply keeps the status that daemons wrote", async () => {
  const node = { ...v3("Node", "n", {}), status: { podCIDRs: ["10.0.0.0/24"] } } as AnyResource;
  const store = new MemoryDatastore([node]);
  const stdin = JSON.stringify(v3("Node", "n", { bgp: { ipv4Address: "192.0.2.1/24" } }));
  assert.equal((await run("apply -f -", store, { stdin })).code, 0);
  assert.deepEqual((await store.get({ kind: "Node", name: "n" })).status, {
    podCIDRs: ["10.0.0.0/24"],
  });
});

test("apply tries again when somebody else writes in between", async () => {
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16")]);
  store.next("update", async () => {
    const present = await store.get({ kind: "IPPool", name: "a" });
    await store.update<"IPPool">({ ...present, spec: { ...present.spec, disabled: true } });
  });
  const stdin = poolText("a", "10.0.0.0/16", ", natOutgoing: true");
  assert.equal((await run("apply -f -", store, { stdin })).code, 0);
  assert.equal((await store.get({ kind: "IPPool", name: "a" })).spec.natOutgoing, true);
});

test("a resourceVersion in the file must be the present one", async () => {
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16")]);
  const stale = JSON.stringify({
    ...pool("a", "10.0.0.0/16"),
    metadata: { name: "a", resourceVersion: "77" },
  });
  for (const verb of ["apply", "replace", "delete"]) {
    const { code, err } = await run(`${verb} -f -`, store, { stdin: stale });
    assert.equal(code, 1);
    assert.match(err, /IPPool "a": it was changed since its resourceVersion was read/, verb);
  }
  assert.equal((await store.get({ kind: "IPPool", name: "a" })).spec.disabled, undefined);
});

test("one bad object does not stop the others: partial success, exit 1", async () => {
  const store = new MemoryDatastore();
  const stdin = [
    poolText("a", "10.0.0.0/16"),
    poolText("b", "10.1.0.0/99"),
    poolText("c", "10.0.128.0/17"),
    poolText("d", "10.3.0.0/16"),
  ].join("---\n");
  const { code, out, err } = await run("apply -f -", store, { stdin });
  assert.equal(code, 1);
  assert.equal(out, "Partial success: applied 2 out of 4 'IPPool' resources\n");
  assert.match(err, /Cannot accept IPPool "b": spec\.cidr: Cannot parse prefix "10\.1\.0\.0\/99"/);
  assert.match(err, /Cannot create IPPool "c": spec\.cidr: overlaps 10\.0\.0\.0\/16 of IPPool "a"/);
  assert.deepEqual(Object.keys(store.contents()), ["IPPool/a", "IPPool/d"]);
});

test("a file that is no manifest is refused as a whole", async () => {
  const good = poolText("a", "10.0.0.0/16");
  const bad: readonly (readonly [text: string, message: RegExp])[] = [
    [`${good}---\n${good.replace("spec", "sepc")}`, /^stdin, document 2: .*sepc: unknown field\n$/],
    [
      `${good}---\nkind: Pod\n`,
      /^stdin, document 2: Cannot accept Pod: kind: "Pod" is not known\n$/,
    ],
    [`${good}  cidr: [\n`, /^Cannot read stdin: line \d+, column \d+: /],
    [
      "metadata: {name: a, name: b}\n",
      /^Cannot read stdin: line 1, column \d+: Map keys must be unique/,
    ],
    ['{"kind": "IPPool", "kind": "IPPool"}', /Map keys must be unique/],
    ["", /^Cannot read stdin: there are no resources in it\n$/],
    ["just text", /must be an object, got "just text"/],
  ];
  for (const [stdin, message] of bad) {
    const store = new MemoryDatastore();
    const { code, out, err } = await run("apply -f -", store, { stdin });
    assert.deepEqual([code, out], [1, ""], stdin);
    assert.match(err, message);
    assert.deepEqual(store.contents(), {});
  }
});

test("create and replace insist on absence and presence", async () => {
  const store = new MemoryDatastore();
  const stdin = poolText("a", "10.0.0.0/16");
  assert.match((await run("replace -f -", store, { stdin })).err, /IPPool "a": it does not exist/);
  assert.equal((await run("create -f -", store, { stdin })).code, 0);
  assert.deepEqual(await run("create -f -", store, { stdin }), {
    code: 1,
    out: "",
    err: `Failed to create 'IPPool' resource: Cannot create IPPool "a": it exists already\n`,
  });
  assert.equal((await run("create -f - --skip-exists", store, { stdin })).code, 0);
  assert.equal((await run("replace -f -", store, { stdin })).code, 0);
});

test("files of a folder are read in order, those below with -R", async () => {
  const top = join(folder, "manifests");
  await mkdir(join(top, "below"), { recursive: true });
  await writeFile(join(top, "1.yaml"), poolText("a", "10.1.0.0/16"));
  await writeFile(join(top, "2.json"), JSON.stringify(pool("b", "10.2.0.0/16")));
  await writeFile(join(top, "notes.txt"), "not: [yaml");
  await writeFile(join(top, "below", "3.yml"), poolText("c", "10.3.0.0/16"));
  const flat = new MemoryDatastore();
  assert.equal((await run(["apply", "-f", top], flat)).code, 0);
  assert.deepEqual(Object.keys(flat.contents()), ["IPPool/a", "IPPool/b"]);
  const deep = new MemoryDatastore();
  assert.equal((await run(["apply", "-R", "-f", top], deep)).code, 0);
  assert.deepEqual(Object.keys(deep.contents()), ["IPPool/a", "IPPool/b", "IPPool/c"]);
  const gone = await run(["apply", "-f", join(top, "nope.yaml")]);
  assert.match(gone.err, /^Cannot read .*nope\.yaml: there is no such file\n$/);
});

test("apply keeps the finalizers of what is there", async () => {
  const store = new MemoryDatastore();
  await run("apply -f -", store, { stdin: poolText("a", "10.1.0.0/16") });
  const key = { kind: "IPPool", name: "a" } as const;
  const { metadata, ...rest } = await store.get(key);
  await store.update<"IPPool">({ ...rest, metadata: { ...metadata, finalizers: ["f"] } });
  await run("apply -f -", store, { stdin: poolText("a", "10.1.0.0/16") });
  assert.deepEqual((await store.get(key)).metadata.finalizers, ["f"]);
});

test("a Kubernetes policy is applied, shown and deleted by its own name", async () => {
  const store = new MemoryDatastore();
  assert.equal((await run("apply -f -", store, { stdin: kubernetesPolicy })).code, 0);
  assert.deepEqual(Object.keys(store.contents()), ["NetworkPolicy/shop/knp.default.allow-web"]);
  for (const word of ["networkpolicy", "knp", "networkpolicy.networking.k8s.io"]) {
    const { out } = await run(`get ${word} -A`, store);
    assert.match(out, /^shop +allow-web/m, word);
    const yaml = await run(`get ${word} allow-web -n shop -o yaml`, store);
    assert.match(yaml.out, /^apiVersion: networking.k8s.io\/v1\nkind: NetworkPolicy\n/);
    assert.match(yaml.out, /matchLabels:\n {6}app: web/);
    assert.doesNotMatch(yaml.out, /kubernetes-spec|projectcalico/);
    assert.equal((await run("apply -f -", store, { stdin: yaml.out })).code, 0);
  }
  assert.equal((await run("delete np allow-web -n other", store)).code, 1);
  assert.deepEqual(await run("delete -f -", store, { stdin: kubernetesPolicy }), {
    code: 0,
    out: "Successfully deleted 1 'NetworkPolicy' resource(s)\n",
    err: "",
  });
  assert.deepEqual(store.contents(), {});
  const again = await run("delete -f -", store, { stdin: kubernetesPolicy });
  assert.match(again.err, /NetworkPolicy "shop\/allow-web": it does not exist/);
  assert.equal((await run("delete -s -f -", store, { stdin: kubernetesPolicy })).code, 0);
});

test("a ClusterNetworkPolicy is applied, shown and deleted by its own name", async () => {
  const store = new MemoryDatastore();
  const policy = `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-db}
spec:
  tier: Baseline
  priority: 7
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {}}]}]
`;
  assert.equal((await run("apply -f -", store, { stdin: policy })).code, 0);
  assert.deepEqual(Object.keys(store.contents()), ["GlobalNetworkPolicy/kcnp.default.no-db"]);
  assert.match(
    (await run("get kcnp", store)).out,
    /^NAME +TIER +PRIORITY *\nno-db +kube-baseline +7/,
  );
  for (const word of ["gnp", "kcnp", "clusternetworkpolicies.policy.networking.k8s.io"]) {
    const yaml = await run(`get ${word} no-db -o yaml`, store);
    assert.match(yaml.out, /^apiVersion: policy.networking.k8s.io\/v1alpha2\nkind: Cluster/, word);
    assert.doesNotMatch(yaml.out, /kubernetes-spec|projectcalico|kcnp/);
    assert.equal((await run("apply -f -", store, { stdin: yaml.out })).code, 0);
  }
  assert.match((await run("get gnp", store)).out, /^no-db +kube-baseline/m);
  assert.deepEqual(await run("delete -f -", store, { stdin: policy }), {
    code: 0,
    out: "Successfully deleted 1 'ClusterNetworkPolicy' resource(s)\n",
    err: "",
  });
  assert.deepEqual(store.contents(), {});
  const again = await run("delete kcnp no-db", store);
  assert.match(again.err, /ClusterNetworkPolicy "no-db": it does not exist/);
});

test("patch changes a Kubernetes policy in its own form", async () => {
  const store = new MemoryDatastore();
  await run("apply -f -", store, { stdin: kubernetesPolicy });
  const patch = '{"spec":{"ingress":[{"ports":[{"port":443}]}]}}';
  assert.deepEqual(await run(["patch", "knp", "allow-web", "-n", "shop", "-p", patch], store), {
    code: 0,
    out: "Successfully patched 1 'NetworkPolicy' resource\n",
    err: "",
  });
  const key = { kind: "NetworkPolicy", name: "knp.default.allow-web", namespace: "shop" } as const;
  const { spec } = await store.get(key);
  assert.deepEqual(spec.ingress, [
    { action: "Allow", protocol: "TCP", source: {}, destination: { ports: [443] } },
  ]);
});

test("a namespace is its two profiles", async () => {
  const store = new MemoryDatastore();
  const stdin = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n";
  const applied = await run("apply -f -", store, { stdin });
  assert.equal(applied.out, "Successfully applied 1 'Namespace' resource(s)\n");
  assert.deepEqual(Object.keys(store.contents()), ["Profile/kns.shop", "Profile/ksa.shop.default"]);
  assert.equal(
    (await run("get ns -o wide", store)).out,
    "NAME   LABELS\nshop   kubernetes.io/metadata.name=shop,team=a\n",
  );
  assert.equal((await run("label ns shop team=b --overwrite", store)).code, 0);
  const { spec } = await store.get({ kind: "Profile", name: "kns.shop" });
  assert.equal(spec.labelsToApply?.["pcns.team"], "b");
  assert.equal((await run("delete namespace shop", store)).code, 0);
  assert.deepEqual(store.contents(), {});
});

test("a pool is disabled, given time, and then deleted", async () => {
  const slept: number[] = [];
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16")]);
  store.next("delete", async () => {
    assert.equal((await store.get({ kind: "IPPool", name: "a" })).spec.disabled, true);
    assert.deepEqual(slept, [500]);
  });
  assert.equal((await run("delete ippool a", store, { clock: hastyClock(slept) })).code, 0);
  assert.deepEqual(store.contents(), {});
});

test("a pool must fit beside other pools and existing blocks, and keeps its shape", async () => {
  const block = v3("IPAMBlock", "10-9-0-0-28", {
    cidr: "10.9.0.0/28",
    allocations: [],
    unallocated: [],
    attributes: [],
  });
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16"), block]);
  const rows: readonly (readonly [stdin: string, message: RegExp])[] = [
    [poolText("b", "10.0.0.0/8"), /overlaps 10\.0\.0\.0\/16 of IPPool "a", got "10\.0\.0\.0\/8"/],
    [
      poolText("b", "10.9.0.0/16"),
      /spec\.blockSize: conflicts with the existing block 10\.9\.0\.0\/28, got 26/,
    ],
    [poolText("a", "10.1.0.0/16"), /spec\.cidr: must stay 10\.0\.0\.0\/16, got "10\.1\.0\.0\/16"/],
    [poolText("a", "10.0.0.0/16", ", blockSize: 28"), /spec\.blockSize: must stay 26, got 28/],
  ];
  for (const [stdin, message] of rows) {
    const { code, err } = await run("apply -f -", store, { stdin });
    assert.equal(code, 1);
    assert.match(err, message);
  }
  const fits = poolText("b", "10.9.0.0/16", ", blockSize: 28");
  assert.equal((await run("apply -f -", store, { stdin: fits })).code, 0);
});

test("a policy needs its tier, and a tier stays while policies are in it", async () => {
  const store = new MemoryDatastore();
  const policy = JSON.stringify(v3("GlobalNetworkPolicy", "p", { tier: "sec" }));
  const refused = await run("apply -f -", store, { stdin: policy });
  assert.match(refused.err, /GlobalNetworkPolicy "p": spec\.tier: there is no Tier "sec"/);
  await run("apply -f -", store, { stdin: JSON.stringify(v3("Tier", "sec", { order: 1 })) });
  assert.equal((await run("apply -f -", store, { stdin: policy })).code, 0);
  assert.match((await run("delete tier sec", store)).err, /1 policies are in it, such as "p"/);
  assert.equal((await run("delete gnp p", store)).code, 0);
  assert.equal((await run("delete tier sec", store)).code, 0);
  await store.create<"Tier">(v3("Tier", "default") as never);
  assert.match((await run("delete tier default", store)).err, /it is built in/);
});

test("what only IPAM writes can be looked at, not written", async () => {
  const affinity = v3("BlockAffinity", "n-10-0-0-0-26", { node: "n", cidr: "10.0.0.0/26" });
  const store = new MemoryDatastore([affinity]);
  assert.match((await run("get affinities", store)).out, /10\.0\.0\.0\/26/);
  const stdin = JSON.stringify(affinity);
  for (const command of ["apply -f -", "delete -f -", "delete affinity n-10-0-0-0-26"]) {
    assert.match((await run(command, store, { stdin })).err, /only IPAM writes/, command);
  }
  assert.equal(Object.keys(store.contents()).length, 1);
});

test("get prints tables as calicoctl does", async () => {
  const store = new MemoryDatastore([
    pool("a", "10.0.0.0/16", { natOutgoing: true, ipipMode: "CrossSubnet" }),
    pool("long-name", "fd00::/64"),
    v3("NetworkPolicy", "p", { order: 5, selector: "has(a)" }),
    v3("NetworkPolicy", "q", {}, { namespace: "shop" }),
    v3("Node", "n1", { bgp: { ipv4Address: "192.0.2.1/24" } }),
    v3("Node", "n2", { bgp: { ipv4Address: "192.0.2.2/24", asNumber: 65002 } }),
    v3("BGPConfiguration", "default", { asNumber: 65001 }),
    v3("BGPPeer", "rr", { nodeSelector: "all()", peerSelector: "has(rr)" }),
    v3("BGPFilter", "f", {
      exportV4: [{ action: "Accept" }, { action: "Reject" }],
      importV6: [{ action: "Reject" }],
    }),
    decodeResource({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "shop" },
      spec: { type: "LoadBalancer", clusterIP: "10.96.0.10", externalIPs: ["192.0.2.7"] },
      status: { loadBalancer: { ingress: [{ ip: "198.51.100.7" }] } },
    }),
    decodeResource({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-x", namespace: "shop" },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.65.0.2"] }],
    }),
    v3("CalicoNodeStatus", "s", {
      node: "n1",
      classes: ["BGP", "Routes"],
      updatePeriodSeconds: 10,
    }),
  ]);
  const rows: readonly (readonly [command: string, table: string])[] = [
    [
      "get ippool",
      "NAME        CIDR          SELECTOR\na           10.0.0.0/16   all()\nlong-name   fd00::/64     all()\n",
    ],
    [
      "get pools a -o wide",
      "NAME   CIDR          NAT    IPIPMODE      VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR   ASSIGNMENTMODE\n" +
        "a      10.0.0.0/16   true   CrossSubnet   Never       false      false              all()      Automatic\n",
    ],
    ["get np", "NAME   TIER\np      default\n"],
    ["get np -n shop", "NAME   TIER\nq      default\n"],
    ["get np -n none", "NAME   TIER\n"],
    [
      "get np -A",
      "NAMESPACE   NAME   TIER\ndefault     p      default\nshop        q      default\n",
    ],
    [
      "get np -a",
      "NAMESPACE   NAME   TIER\ndefault     p      default\nshop        q      default\n",
    ],
    ["get np p -o wide", "NAME   TIER      ORDER   SELECTOR\np      default   5       has(a)\n"],
    [
      "get nodes -o wide",
      "NAME   ASN       IPV4           IPV6\nn1     (65001)   192.0.2.1/24   -\nn2     65002     192.0.2.2/24   -\n",
    ],
    ["get bgppeer", "NAME   PEERIP    NODE    ASN\nrr     has(rr)   all()   0\n"],
    [
      "get bf",
      "NAME   NUMEXPORTV4   NUMIMPORTV4   NUMEXPORTV6   NUMIMPORTV6\nf      2             0             0             1\n",
    ],
    [
      "get svc -n shop",
      "NAME   TYPE           CLUSTER-IP   EXTERNAL-IP\nweb    LoadBalancer   10.96.0.10   198.51.100.7,192.0.2.7\n",
    ],
    [
      "get endpointslices -n shop",
      "NAME    ADDRESSTYPE   ENDPOINTS\nweb-x   IPv4          10.65.0.2\n",
    ],
    ["get nodestatus", "NAME   NODE\ns      n1\n"],
    ["get nodestatus -o wide", "NAME   NODE   CLASSES\ns      n1     BGP,Routes\n"],
    [
      "get ippool -o custom-columns=NAME,cidr,USE:.spec.allowedUses[1],X:.spec.x",
      "NAME        CIDR          USE      X\na           10.0.0.0/16   Tunnel   <none>\nlong-name   fd00::/64     Tunnel   <none>\n",
    ],
  ];
  for (const [command, table] of rows) {
    assert.deepEqual(await run(command, store), { code: 0, out: table, err: "" }, command);
  }
});

test("get prints documents that apply takes back", async () => {
  const resources = [pool("a", "10.0.0.0/16"), pool("b", "10.1.0.0/16")];
  const store = new MemoryDatastore(resources);
  for (const format of ["json", "yaml"]) {
    for (const what of ["ippool", "ippool a b"]) {
      const { out } = await run(`get ${what} -o ${format}`, store);
      const copy = await run("validate -f -", undefined, { stdin: out });
      assert.equal(copy.out, "Successfully validated 2 'IPPool' resource(s)\n", out);
    }
  }
  const single = JSON.parse((await run("get ippool a -o json --export", store)).out);
  assert.deepEqual(single.metadata, { name: "a" });
  assert.equal(single.kind, "IPPool");
});

test("get shows what it finds and tells of the rest, exit 1", async () => {
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16")]);
  assert.deepEqual(await run("get ippool a b c", store), {
    code: 1,
    out: "NAME   CIDR          SELECTOR\na      10.0.0.0/16   all()\n",
    err: 'Cannot get IPPool "b": it does not exist\nCannot get IPPool "c": it does not exist\n',
  });
});

test("get -w goes on with changes until interrupted", async () => {
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16")]);
  const interrupt = new AbortController();
  const watching = run("get ippool -w", store, { signal: interrupt.signal });
  await new Promise((resolve) => setImmediate(resolve));
  const a = await store.get({ kind: "IPPool", name: "a" });
  await store.update<"IPPool">({ ...a, spec: { ...a.spec, nodeSelector: "has(x)" } });
  await store.create<"Tier">(v3("Tier", "t") as never);
  await store.create<"IPPool">(pool("wider", "10.1.0.0/16") as never);
  await store.delete({ kind: "IPPool", name: "a" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  interrupt.abort();
  assert.deepEqual(await watching, {
    code: 0,
    out: [
      "EVENT      NAME   CIDR          SELECTOR",
      "ADDED      a      10.0.0.0/16   all()",
      "MODIFIED   a      10.0.0.0/16   has(x)",
      "ADDED      wider   10.1.0.0/16   all()",
      "DELETED    a      10.0.0.0/16   has(x)",
      "",
    ].join("\n"),
    err: "",
  });
});

test("patch applies the three types, all or nothing", async () => {
  const store = new MemoryDatastore([pool("a", "10.0.0.0/16", { natOutgoing: true })]);
  const patch = (type: string, text: string) =>
    run(["patch", "ippool", "a", "-t", type, "-p", text], store);
  assert.equal((await patch("merge", '{"spec":{"natOutgoing":null}}')).code, 0);
  assert.equal((await patch("strategic", '{"spec":{"disabled":true}}')).code, 0);
  assert.equal(
    (await patch("json", '[{"op":"add","path":"/metadata/labels","value":{"a/b":"c"}}]')).code,
    0,
  );
  const text = '[{"op":"replace","path":"/metadata/labels/a~1b","value":"d"}]';
  assert.equal((await patch("json", text)).code, 0);
  const { spec, metadata } = await store.get({ kind: "IPPool", name: "a" });
  assert.deepEqual(
    [spec.natOutgoing, spec.disabled, metadata.labels],
    [undefined, true, { "a/b": "d" }],
  );
  const rows: readonly (readonly [type: string, text: string, message: RegExp])[] = [
    ["merge", "{", /--patch: it is no JSON/],
    ["merge", "[]", /of type merge it must be an object/],
    ["json", "{}", /the patch: it must be an array/],
    ["json", '[{"op":"remove","path":"/spec/x"}]', /operation 0 finds nothing at \/spec\/x/],
    ["json", '[{"op":"test","path":"/spec/cidr","value":"x"}]', /operation 0 finds another value/],
    ["odd", "{}", /--type "odd": it must be strategic, merge or json/],
    ["merge", '{"spec":{"cidrs":1}}', /IPPool "a": spec\.cidrs: unknown field/],
    ["merge", '{"spec":{"blockSize":28}}', /spec\.blockSize: must stay 26, got 28/],
    ["merge", '{"metadata":{"name":"b"}}', /Cannot change the name/],
    ["merge", '{"kind":"Tier","spec":null}', /Cannot change the (kind|name)/],
    ["merge", '{"metadata":{"resourceVersion":"1"}}', /it was changed since/],
  ];
  for (const [type, given, message] of rows) {
    const { code, err } = await patch(type, given);
    assert.equal(code, 1, given);
    assert.match(err, message);
  }
});

test("patch keeps fields that a newer version wrote, and still refuses new slips", async () => {
  const stored = pool("a", "10.0.0.0/16");
  const newer = { ...stored, spec: { ...stored.spec, fromTheFuture: 1 } } as AnyResource;
  const store = new MemoryDatastore([newer]);
  assert.equal(
    (await run(["patch", "pool", "a", "-p", '{"spec":{"disabled":true}}'], store)).code,
    0,
  );
  const { spec } = await store.get({ kind: "IPPool", name: "a" });
  assert.deepEqual((spec as unknown as Record<string, unknown>)["fromTheFuture"], 1);
  const slip = await run(["patch", "pool", "a", "-p", '{"spec":{"disable":true}}'], store);
  assert.match(slip.err, /Cannot accept IPPool "a": spec\.disable: unknown field\n$/);
});

test("label sets, insists and removes", async () => {
  const store = new MemoryDatastore([v3("Node", "n")]);
  const labels = async () => (await store.get({ kind: "Node", name: "n" })).metadata.labels;
  assert.equal(
    (await run("label node n rack=a1 zone=", store)).out,
    'Successfully set label rack on Node "n"\nSuccessfully set label zone on Node "n"\n',
  );
  assert.match((await run("label node n rack=a2", store)).err, /label rack: it is "a1"/);
  assert.equal((await run("label node n rack=a2 --overwrite", store)).code, 0);
  assert.deepEqual(await labels(), { rack: "a2", zone: "" });
  assert.equal((await run("label node n rack --remove", store)).code, 0);
  assert.match((await run("label node n rack --remove", store)).err, /rack: it is not there/);
  assert.match((await run("label node n rack", store)).err, /it must be KEY=VALUE/);
  assert.match((await run("label node n a=b=c", store)).err, /"b=c" is no label value/);
  assert.deepEqual(await labels(), { zone: "" });
});

test("a datastore that is away is one clear error, with no stack", async () => {
  const commands = ["get ippool", "get ippool a b", "delete ippool a b", "label node n a=b"];
  for (const command of commands) {
    const store = new MemoryDatastore();
    for (const operation of ["get", "list"] as const) store.next(operation, away());
    const { code, err } = await run(command, store);
    assert.equal(code, 1);
    assert.match(err, /Cannot reach the datastore: connection refused\n$/, command);
    assert.equal(err.match(/connection refused/g)?.length, 1, command);
    assert.doesNotMatch(err, /\n {4}at /);
  }
});

test("a datastore that goes away midway ends the command with what was done", async () => {
  const store = new MemoryDatastore();
  store.next("create", () => store.next("create", away()));
  const stdin = ["a", "b", "c"].map((name, i) => poolText(name, `10.${i}.0.0/16`)).join("---\n");
  assert.deepEqual(await run("create -f -", store, { stdin }), {
    code: 1,
    out: "Partial success: created 1 out of 3 'IPPool' resources\n",
    err: "Hit error(s):\n  Cannot reach the datastore: connection refused\n",
  });
});

test("--verbose adds where an error came from", async () => {
  assert.match((await run("get nothing --verbose")).err, /\n {4}at /);
  assert.doesNotMatch((await run("get nothing")).err, /\n {4}at /);
});

const misused: readonly (readonly [command: string, message: RegExp])[] = [
  ["frob", /there is no such verb/],
  ["get", /Cannot go on without -f FILE or KIND/],
  ["get thing", /Cannot accept kind "thing": it must be one of /],
  ["get ippool -n shop", /IPPool is not namespaced/],
  ["get ippool -A", /IPPool is not namespaced/],
  ["get np -n shop -A", /Cannot accept both -n and -A/],
  ["get ippool -o xml", /--output "xml": it must be ps, wide, yaml, json/],
  ["get ippool -o custom-columns=COLOR", /custom-columns "COLOR": IPPool has NAME, CIDR, NAT/],
  ["get ippool a -w", /Cannot watch single names/],
  ["get ippool --frob", /Unknown option '--frob'/],
  ["apply", /Cannot go on without -f FILE/],
  ["apply x.yaml", /Cannot accept "x.yaml": files are named with -f FILE/],
  ["apply -f", /argument missing/],
  ["delete ippool", /Cannot delete IPPool without a name/],
  ["patch ippool", /Cannot patch IPPool without a name/],
  ["patch ippool a", /Cannot patch without -p PATCH/],
  ["label node n", /Cannot label without KEY=VALUE/],
  ["completion zsh", /it must be bash/],
];

for (const [command, message] of misused) {
  test(`"${command}" is one clear error`, async () => {
    const { code, out, err } = await run(command);
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err, message);
    assert.equal(err.trimEnd().split("\n").length, 1, err);
  });
}

test("every verb has help, which needs nothing else", async () => {
  for (const [verb, summary] of Object.entries(resourceVerbs)) {
    const { code, out } = await run(`${verb} -h`);
    assert.equal(code, 0);
    assert.match(out, /^Usage:\n {2}tortie /m);
    assert.match(out, /-h, --help/);
    assert.ok(out.toLowerCase().startsWith(summary.toLowerCase()), verb);
  }
});

test("options that only calicoctl needs are accepted", async () => {
  const { code } = await run("get ippool --allow-version-mismatch -l debug --context c");
  assert.equal(code, 0);
});

test("-c names the datastore", async () => {
  const file = join(folder, "calicoctl.cfg");
  await writeFile(
    file,
    "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec: {datastoreType: etcdv3, etcdEndpoints: 'http://h:1'}\n",
  );
  const seen: unknown[] = [];
  const io = {
    stdout: { write: () => true },
    stderr: { write: (text: string) => seen.push(text) },
    stdin: Readable.from([]),
    env: { DATASTORE_TYPE: "embedded", OTHER: "x" },
  };
  await runResourceCommand(["get", "ippool", "-c", file], io, {
    openDatastore: async (env) => {
      seen.push(env);
      return new MemoryDatastore();
    },
  });
  assert.deepEqual(seen, [{ DATASTORE_TYPE: "etcdv3", OTHER: "x", ETCD_ENDPOINTS: "http://h:1" }]);
  const missing = await run(["get", "ippool", "-c", join(folder, "nope.cfg")]);
  assert.match(missing.err, /^Cannot read the configuration .*nope\.cfg/);
});

test("apply says which parameters of a FelixConfiguration nothing acts on", async () => {
  const manifest = (spec: object) =>
    JSON.stringify({
      apiVersion: "projectcalico.org/v3",
      kind: "FelixConfiguration",
      metadata: { name: "default" },
      spec,
    });
  const apply = async (spec: object) => {
    const { code, err } = await run("apply -f -", undefined, { stdin: manifest(spec) });
    assert.equal(code, 0);
    return err;
  };
  assert.equal(
    await apply({ bpfEnabled: true, vxlanPort: 4789, xdpEnabled: true }),
    'Warning: FelixConfiguration "default" is kept, but tortie does not act on bpfEnabled, xdpEnabled\n',
  );
  assert.match(await apply({ vxlanPort: 0 }), /felix cannot use it: .*vxlanPort "0"/);
  assert.equal(await apply({ vxlanPort: 4789 }), "");
});

test("apply of a network set warns of nothing: felix acts on it", async () => {
  const sets = { apiVersion: "projectcalico.org/v3", kind: "GlobalNetworkSet", spec: {} };
  const stdin = JSON.stringify({ ...sets, metadata: { name: "s" } });
  const { err } = await run("apply -f -", undefined, { stdin });
  assert.equal(err, "");
});
