import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { countersOf } from "../../../src/cli/policy/counters.ts";
import type { Explanation } from "../../../src/cli/policy/explainer.ts";
import { loadFiles } from "../../../src/cli/policy/load-cluster.ts";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";
import { nodeTexts } from "../../support/iptables/node-rules.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

const cluster = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { env: prod } }
---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: node1-k8s-web-eth0
  namespace: shop
  labels: { app: web, projectcalico.org/namespace: shop, projectcalico.org/orchestrator: k8s }
spec:
  orchestrator: k8s
  node: node1
  pod: web
  endpoint: eth0
  ipNetworks: [10.0.0.1/32]
  interfaceName: caliweb
  profiles: [kns.shop]
---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: node2-k8s-client-eth0
  namespace: shop
  labels: { app: client, projectcalico.org/namespace: shop, projectcalico.org/orchestrator: k8s }
spec:
  orchestrator: k8s
  node: node2
  pod: client
  endpoint: eth0
  ipNetworks: [10.0.0.2/32]
  interfaceName: caliclient
  profiles: [kns.shop]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: nobody } } }, { podSelector: { matchLabels: { app: admin } } }]
    - from: [{ podSelector: { matchLabels: { app: client } } }]
      ports: [{ port: 80 }]
`;

let folder = "";
let clusterFile = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tortie-policy-"));
  clusterFile = await file("cluster.yaml", cluster);
});

after(() => rm(folder, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function run(argv: readonly string[], datastore = new MemoryDatastore()) {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: (async function* () {
      yield "";
    })(),
    env: {},
  };
  const code = await runResourceCommand(["policy", ...argv], io, {
    openDatastore: async () => datastore,
  });
  return { code, out, err };
}

const flow = ["--from", "shop/client", "--to", "shop/web"];

test("explain tells the verdict and the way: tiers, policies, rules, selectors, the rule as written", async () => {
  const { code, out, err } = await run(["explain", ...flow, "--port", "80/tcp", "-f", clusterFile]);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(
    out.replaceAll(/cali:[\w-]{16}/g, "cali:HASH"),
    `ALLOWED shop/client (10.0.0.2) -> shop/web (10.0.0.1) 80/tcp
  Ingress rule 2 of Kubernetes NetworkPolicy shop/web

Egress of Pod shop/client on node2: allowed
  Profile kns.shop
    rule 0 Allow matches
  decided by: Egress rule 0 of Profile kns.shop
  in the kernel: table filter, chain cali-pro-kns.shop, rule cali:HASH

Ingress of Pod shop/web on node1: allowed
  tier default: allow
    Kubernetes NetworkPolicy shop/web, selector projectcalico.org/orchestrator == 'k8s' && app == 'web'
      rule 0 Allow no: source.selector projectcalico.org/orchestrator == 'k8s' && app == 'nobody': not client
      rule 1 Allow no: source.selector projectcalico.org/orchestrator == 'k8s' && app == 'admin': not client
      rule 2 Allow matches
        source.selector projectcalico.org/orchestrator == 'k8s' && app == 'client' found Pod shop/client
  decided by: Ingress rule 2 of Kubernetes NetworkPolicy shop/web
  as written: spec.ingress[1] {"from":[{"podSelector":{"matchLabels":{"app":"client"}}}],"ports":[{"port":80}]}
  in the kernel: table filter, chain cali-pi-knp/shop/web, rule cali:HASH
`,
  );
});

for (const [port, match] of [
  ["80/tcp", /-p tcp .*--destination-ports 80 .*--set-mark 0x10000\/0x10000/],
  ["81/tcp", /End of tier default\. .*--jump DROP/],
] as const) {
  test(`explain names the kernel's rule: ${port}`, async () => {
    const { out } = await run([
      "explain",
      ...flow,
      "--port",
      port,
      "-f",
      clusterFile,
      "-o",
      "json",
    ]);
    const { checks } = JSON.parse(out) as Explanation;
    const { resources } = await loaded();
    const written = await nodeTexts("node1", resources, 4);
    const kernel = checks.at(-1)?.kernel;
    const lines = written.texts.join("").split("\n");
    const line = lines.find((text) => text.includes(`"cali:${kernel?.hash}"`)) ?? "";
    assert.ok(line.startsWith(`-A ${kernel?.chain} `), line);
    assert.match(line, match);
  });
}

async function loaded() {
  const args = { words: [], has: () => false, value: () => undefined, values: () => [] };
  const { resources } = await loadFiles([clusterFile], args, { io: {} as never });
  const tier = { kind: "Tier", metadata: { name: "default" }, spec: { order: 1e6 } };
  return { resources: [...resources, tier as AnyResource] };
}

test("explain reads the datastore when there are no files", async () => {
  const { resources } = await loaded();
  const { out } = await run(["explain", ...flow, "--port", "81"], new MemoryDatastore(resources));
  assert.match(out, /^DENIED .*\n {2}no Ingress rule of tier default matched\n/);
});

const refusals: readonly (readonly [argv: readonly string[], message: string])[] = [
  [[], 'Cannot run "policy ": it must be one of explain, test, lint, impact'],
  [["explain"], "Cannot explain without --from and --to"],
  [["explain", ...flow, "--port", "http"], 'Cannot use port "http"'],
  [["explain", ...flow, "-o", "sarif"], 'Cannot accept --output "sarif"'],
  [
    ["explain", "--from", "shop/nobody", "--to", "shop/web"],
    'Cannot find "shop/nobody": it is none',
  ],
  [["test"], "Cannot test without a file of tests"],
];
for (const [argv, message] of refusals) {
  test(`policy ${argv.join(" ")} is refused`, async () => {
    const given = argv[0] === "explain" ? [...argv, "-f", clusterFile] : argv;
    const { code, err } = await run(given);
    assert.equal(code, 1);
    assert.ok(err.startsWith(message), err);
  });
}

const tests = `
endpoints:
  - { pod: shop/admin, labels: { app: admin } }
  - { pod: dev/other, ports: [{ name: http, protocol: TCP, port: 8080 }] }
tests:
  - { name: clients reach web, from: [shop/client, shop/admin], to: shop/web, port: 80, expect: allow }
  - { from: dev/other, to: shop/web, port: [80/tcp, icmp], expect: deny, by: tier default }
  - { from: shop/client, to: dev/other, port: 8080/tcp, expect: allow, by: Profile kns.dev }
`;

test("policy test judges every flow, with pods of the file besides the cluster's", async () => {
  const path = await file("tests.yaml", tests);
  const { code, out, err } = await run(["test", path, "-f", clusterFile]);
  assert.deepEqual([code, err], [0, ""], out);
  assert.match(out, /^ok {3}clients reach web: shop\/client -> shop\/web 80: allow by /);
  assert.match(out, /\n5 as expected, 0 not\n$/);
});

test("policy test ends with 1 when a verdict is another than expected", async () => {
  const path = await file("wrong.yaml", tests.replace("expect: deny", "expect: allow"));
  const { code, out } = await run(["test", path, "-f", clusterFile]);
  assert.equal(code, 1);
  assert.match(
    out,
    /FAIL tests\[1\]: dev\/other -> shop\/web 80\/tcp: expected allow by tier default, got deny by no/,
  );
  assert.match(out, /\n3 as expected, 2 not\n$/);
});

for (const [text, message] of [
  ["tests: [{ from: a, to: b, expect: maybe }]", "tests[0].expect"],
  ["tests: [{ form: a }]", "tests[0].form"],
  ["tests: 3", "tests: it must be a list"],
  ["endpoints: [{ pod: web }]\ntests: []", "endpoints[0].pod"],
] as const) {
  test(`policy test refuses ${text}`, async () => {
    const { code, err } = await run(["test", await file("bad.yaml", text), "-f", clusterFile]);
    assert.equal(code, 1);
    assert.ok(err.includes(message), err);
  });
}

const changed = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ ports: [{ port: 443 }] }]
`;

test("impact tells which connections would meet another verdict, and writes nothing", async () => {
  const path = await file("new.yaml", changed);
  const { code, out, err } = await run(["impact", "-f", path, "--cluster", clusterFile]);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(
    out,
    `closes shop/client -> shop/web 80/tcp: no Ingress rule of tier default matched
opens  shop/client -> shop/web 443/tcp: Ingress rule 0 of Kubernetes NetworkPolicy shop/web
opens  outside -> shop/web 443/tcp: Ingress rule 0 of Kubernetes NetworkPolicy shop/web
2 opened, 1 closed
`,
  );
});

test("pods of one name on two nodes are told apart", async () => {
  const twin = cluster.replaceAll("node1", "node3").replaceAll("10.0.0.1/32", "10.0.0.9/32");
  const twinFile = await file("twin.yaml", twin);
  const files = ["-f", clusterFile, "-f", twinFile];
  const { code, err } = await run(["explain", ...flow, ...files]);
  assert.equal(code, 1);
  assert.match(err, /write one of node1\/shop\/web, node3\/shop\/web/);
  const to = ["--from", "shop/client", "--to", "node3/shop/web", "--port", "81"];
  const { out } = await run(["explain", ...to, ...files]);
  assert.match(out, /Ingress of Pod shop\/web on node3: denied\n/);
  assert.match(out, /chain cali-tw-caliweb, rule cali:/);
  const change = await file("443.yaml", changed);
  const all = ["--cluster", clusterFile, "--cluster", twinFile];
  const impact = await run(["impact", "-f", change, ...all, "--port", "443"]);
  assert.match(impact.out, /opens {2}shop\/client -> node1\/shop\/web 443\/tcp/);
  assert.match(impact.out, /opens {2}shop\/client -> node3\/shop\/web 443\/tcp/);
});

/** What somebody applies with kubectl: nothing of it is ours. */
const shop = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop, labels: { app: web } }
spec:
  nodeName: node1
  containers: [{ name: web, image: web, ports: [{ name: http, containerPort: 8080 }] }]
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: robot, namespace: shop, labels: { app: robot } }
    spec: { serviceAccountName: machine, containers: [] }
    status: { podIPs: [{ ip: 10.0.0.9 }] }
  - { apiVersion: v1, kind: Pod, metadata: { name: other, namespace: dev }, spec: { containers: [] } }
  - { apiVersion: v1, kind: Pod, metadata: { name: agent }, spec: { hostNetwork: true } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: machine, namespace: shop, labels: { role: machine } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web, namespace: shop }
data: { a: b }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec: {}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: { name: robots, namespace: shop }
spec:
  serviceAccountSelector: role == 'machine'
  types: [Egress]
  egress: [{ action: Allow, destination: { services: { name: web } } }]
`;

test("Pods, ServiceAccounts and Services of a user's manifests make a cluster", async () => {
  const path = await file("shop.yaml", shop);
  const explain = async (from: string, to: string, port: string) =>
    (await run(["explain", "--from", from, "--to", to, "--port", port, "-f", path])).out.split(
      "\n",
    )[0];
  const web = await explain("shop/robot", "shop/web", "8080");
  assert.match(web ?? "", /^ALLOWED shop\/robot \(10\.0\.0\.9\) -> shop\/web \(198\.19\.0\.1\)/);
  assert.match((await explain("shop/robot", "shop/web", "80")) ?? "", /^DENIED /);
  assert.match((await explain("dev/other", "shop/web", "80")) ?? "", /^ALLOWED .*198\.19\.0\.2/);
  const { code, out, err } = await run(["lint", "-f", path]);
  assert.deepEqual([code, out], [0, "0 findings\n"]);
  assert.equal(
    err,
    "passed over: 1 of ConfigMap (v1), which policy does not look at\n" +
      "passed over: 1 of Deployment (apps/v1), which policy does not look at\n",
  );
});

test("impact tells what a changed pod of a manifest reaches; addresses stay", async () => {
  const path = await file("shop.yaml", shop);
  const pod =
    "{ apiVersion: v1, kind: Pod, metadata: { name: web, namespace: shop, labels: { app: old } } }";
  const change = await file("old.yaml", pod);
  const { out, err, code } = await run([
    "impact",
    "-f",
    change,
    "--cluster",
    path,
    "--port",
    "8080",
  ]);
  assert.equal(code, 0, err);
  assert.match(out, /^closes shop\/robot -> shop\/web 8080\/tcp: no Egress rule of tier default/);
  assert.match(out, /\n0 opened, 1 closed\n$/);
});

for (const [text, message] of [
  ["{ apiVersion: v1, kind: Pod, metadata: { name: Web } }", "metadata.name"],
  ["{ apiVersion: v1, kind: Pod, metadata: { name: web, labels: { a: [] } } }", "metadata.labels"],
  [
    "{ apiVersion: projectcalico.org/v3, kind: NetworkPolcy, metadata: { name: a } }",
    "NetworkPolcy",
  ],
  ["{ kind: Pod, metadata: { name: web } }", 'kind: "Pod" is not known'],
] as const) {
  test(`lint refuses ${text}`, async () => {
    const { code, err } = await run(["lint", "-f", await file("bad-object.yaml", text)]);
    assert.equal(code, 1);
    assert.ok(err.includes(message), err);
  });
}

test("lint of the cluster, as SARIF with the file of each finding", async () => {
  const { code, out } = await run(["lint", "-f", clusterFile, "-o", "sarif"]);
  assert.equal(code, 1);
  const { version, runs } = JSON.parse(out);
  assert.equal(version, "2.1.0");
  const found = runs[0].results.find(
    ({ ruleId }: { ruleId: string }) => ruleId === "matches-nothing",
  );
  assert.equal(found.locations[0].physicalLocation.artifactLocation.uri, clusterFile);
  assert.match(found.message.text, /Kubernetes NetworkPolicy shop\/web spec\.ingress\[0\]/);
});

test("countersOf() reads iptables-save -c", () => {
  const text = `*filter
:cali-x - [0:0]
[7:588] -A cali-x -m comment --comment "cali:0123456789abcdef" -j DROP
[1:60] -A cali-x -m comment --comment cali:fedcba9876543210 -j RETURN
[9:9] -A INPUT -j ACCEPT
`;
  assert.deepEqual(
    [...countersOf(text)],
    [
      ["filter 0123456789abcdef", { packets: 7, bytes: 588 }],
      ["filter fedcba9876543210", { packets: 1, bytes: 60 }],
    ],
  );
});
