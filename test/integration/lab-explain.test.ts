import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { type Counters, counterKey, countersOf } from "../../src/cli/policy/counters.ts";
import { Explainer, type Explanation } from "../../src/cli/policy/explainer.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import type { CheckedFlow } from "../../src/lab/check.ts";
import type { LabPod } from "../../src/lab/lab-state.ts";
import { groupBy } from "../../src/lib/collections.ts";
import { policyKinds } from "../../src/policy/cluster.ts";
import { flowPort } from "../../src/policy/flow.ts";
import { TestLab } from "../support/lab.ts";

/**
 * A lab of three nodes with policies of every form (lab-explain.yaml): what `policy explain` says of
 * every pair of pods is what real packets meet, and the rules that it names count them.
 */

const lab = new TestLab("e");
const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const manifest = new URL("lab-explain.yaml", import.meta.url);

const pods: readonly (readonly [node: string, name: string, labels: readonly string[]])[] = [
  ["node1", "red/web", ["app=web"]],
  ["node1", "blue/db", ["app=db", "suspect=yes"]],
  ["node1", "green/robot", ["app=client"]],
  ["node2", "red/client", ["app=client", "suspect=yes"]],
  ["node2", "blue/web", ["app=web"]],
  ["node2", "green/dns", ["app=dns"]],
  ["node3", "red/db", ["app=db"]],
  ["node3", "blue/client", ["app=client"]],
  ["node3", "green/web", ["app=web"]],
];
const ports = ["http=8080/TCP", "alt=7000/TCP", "dns=5353/UDP"];
let explained: readonly { readonly flow: CheckedFlow; readonly by: Explanation }[];
let explainer: Explainer;
let policyCount = 0;

before(async () => {
  await lab.mustLab("up", "--pods", "0");
  const addresses = new Map<string, string>();
  await Promise.all(
    pods.map(async ([node, pod, labels]) => {
      const [namespace = "", name = ""] = pod.split("/");
      const options = [
        ...labels.flatMap((label) => ["--label", label]),
        ...ports.flatMap((port) => ["--port", port]),
      ];
      const place = [node, name, "--namespace", namespace];
      const added = await lab.mustLab("pod", "add", ...place, ...options, "--json");
      addresses.set(pod, (JSON.parse(added) as LabPod).addresses[0] ?? "");
    }),
  );
  await becomeRobot();
  const text = readFileSync(manifest, "utf8");
  policyCount = (text.match(/^kind: .*NetworkPolicy$/gm) ?? []).length;
  await lab.apply(
    text.replaceAll(
      /ADDRESS\(([^)]+)\)/g,
      (_, pod: string) => addresses.get(pod) ?? assert.fail(pod),
    ),
  );
  explainer = new Explainer(await clusterOfLab());
});
after(() => lab.down());

/** The lab's pods are of the default service account; on Kubernetes a pod's spec says which. */
async function becomeRobot(): Promise<void> {
  const name = ["workloadendpoint", "node1-k8s-robot-eth0", "-n", "green"];
  const { stdout } = await lab.cli(["get", ...name, "-o", "json"]);
  const robot = stdout
    .replace('"serviceAccountName": "default"', '"serviceAccountName": "robot"')
    .replace("ksa.green.default", "ksa.green.robot")
    .replace('serviceaccount": "default"', 'serviceaccount": "robot"');
  assert.equal(robot.match(/robot"/g)?.length, 4, robot);
  await lab.apply(robot);
}

async function clusterOfLab(): Promise<AnyResource[]> {
  const datastore = openEmbeddedDatastore(join(lab.folder, lab.name, "datastore"));
  try {
    const lists = await Promise.all(policyKinds.map((kind) => datastore.list(kind)));
    return lists.flatMap(({ items }) => items);
  } finally {
    await datastore.close();
  }
}

function explain({ from, to, protocol, port }: CheckedFlow): Explanation {
  const text = protocol === "ICMP" ? "icmp" : `${port}/${protocol.toLowerCase()}`;
  return explainer.explain(endName(from), endName(to), flowPort(text));
}

/** "node1/red/web" and "red/web" are one pod; a node's own name stays. */
function endName(label: string): string {
  return label.split("/").slice(-2).join("/");
}

/** By "NODE TABLE HASH". */
async function countersOfNodes(): Promise<Counters> {
  const { nodes } = await lab.status();
  const entries = nodes.map(async ({ name, netns }) => {
    const texts = await Promise.all(
      ["raw", "mangle", "filter"].map((table) =>
        lab.inside(netns, "iptables-nft-save", "-c", "-t", table),
      ),
    );
    return [...countersOf(texts.join(""))].map(
      ([key, counters]) => [`${name} ${key}`, counters] as const,
    );
  });
  return new Map((await Promise.all(entries)).flat());
}

test("explain agrees with real packets for every pair of pods, under 30 policies", async (t) => {
  assert.ok(policyCount >= 30);
  const { flows, mismatches } = await lab.check();
  assert.deepEqual(mismatches, []);
  const ofPods = flows.filter(({ from }) => from.includes("/"));
  assert.equal(ofPods.length, pods.length * (pods.length - 1) * (ports.length + 3));
  explained = ofPods.map((flow) => ({ flow, by: explain(flow) }));
  assert.deepEqual(
    explained.filter(({ flow, by }) => by.allowed !== flow.reached),
    [],
  );
  const reached = ofPods.filter((flow) => flow.reached).length;
  const decisions = new Set(explained.map(({ by }) => JSON.stringify(by.decision)));
  t.diagnostic(`${ofPods.length} flows, ${reached} reach, ${decisions.size} decisions`);
  assert.ok(reached > ofPods.length / 5 && reached < (ofPods.length * 4) / 5);
});

test("every rule that explain names counts the packets of the flows that it decides", async (t) => {
  const checks = explained.flatMap(({ by }) => by.checks);
  const unnamed = checks.filter(
    ({ kernel, outcome }) => kernel === undefined && outcome !== "continue",
  );
  assert.deepEqual(unnamed, []);
  const before = await countersOfNodes();
  assert.deepEqual((await lab.check()).mismatches, []);
  const after = await countersOfNodes();
  const named = groupBy(checks, ({ node, kernel }) => kernel && `${node} ${counterKey(kernel)}`);
  named.delete(undefined);
  const tables = new Set([...named.keys()].map((key) => key?.split(" ")[1]));
  assert.deepEqual([...tables].sort(), ["filter", "mangle"]);
  for (const [key = "", decided] of named) {
    const counted = (after.get(key)?.packets ?? 0) - (before.get(key)?.packets ?? 0);
    assert.ok(counted >= decided.length, `${key} counts ${counted} for ${JSON.stringify(decided)}`);
  }
  t.diagnostic(`${named.size} rules`);
});

test("the CLI says the same, with the counters of the node that it runs on", async () => {
  const { by } =
    explained.find(({ by: { allowed, checks } }) => !allowed && checks.at(-1)?.node === "node3") ??
    assert.fail("node3 denies nothing");
  const { netns } = (await lab.status()).nodes[2] ?? assert.fail("no node3");
  const ends = ["--from", by.from, "--to", by.to, "--port", by.port];
  const args = ["policy", "explain", ...ends, "--node", "node3", "-o", "json"];
  const script = `${await lab.mustLab("env")}exec "$@"`;
  const shown = JSON.parse(await lab.inside(netns, "sh", "-c", script, "sh", tortie, ...args));
  const { packets, bytes, ...rule } = shown.checks.at(-1).kernel;
  assert.ok(packets >= 2 && bytes > packets, `${packets} packets, ${bytes} bytes`);
  shown.checks.at(-1).kernel = rule;
  assert.deepEqual(shown, by);
});
