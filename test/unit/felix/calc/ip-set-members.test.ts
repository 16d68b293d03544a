import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import { evaluateSelector } from "../../../../src/api/selector/evaluate.ts";
import { parseSelector } from "../../../../src/api/selector/parser.ts";
import { IpSetMembers } from "../../../../src/felix/calc/ip-set-members.ts";
import type { SetSource } from "../../../../src/felix/calc/rule-scanner.ts";
import { workloadSelectable } from "../../../../src/felix/calc/selectable.ts";
import type { DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { endpointSlice, pod } from "../../../states/resources.ts";

type SelectorSource = Exclude<SetSource, { readonly kind: "service" }>;

/** The sets as told last, and what each flush told of. */
function watched() {
  const told = new Map<string, readonly string[]>();
  const changes: string[] = [];
  const sets = new IpSetMembers((update) => {
    assert(update.kind === "ipSet");
    const { id } = update;
    changes.push(id);
    if (update.op === "remove") told.delete(id);
    else if (update.op === "set") told.set(id, [...update.value.members].sort());
    else {
      const { add, remove } = update.value;
      const before = new Set(told.get(id));
      assert(before.isDisjointFrom(add) && before.isSupersetOf(remove));
      told.set(id, [...before.difference(remove).union(add)].sort());
    }
  });
  const flush = () => {
    sets.flush();
    return changes.splice(0);
  };
  return { sets, told, flush };
}

const selector = (text: string): SelectorSource => ({
  kind: "selector",
  selector: parseSelector(text),
});
const webPort = (port: string, protocol: "tcp" | "udp" = "tcp"): SelectorSource => ({
  kind: "namedPort",
  selector: parseSelector("app == 'web'"),
  protocol,
  port,
});
const labelsOf = (endpoint: WorkloadEndpoint) =>
  new Map(Object.entries(endpoint.metadata.labels ?? {}));

function put(sets: IpSetMembers, endpoint: WorkloadEndpoint): void {
  sets.setSelectable(endpoint.metadata.name, workloadSelectable(endpoint), labelsOf(endpoint));
}

test("an address that two endpoints give goes with the second", () => {
  const { sets, told, flush } = watched();
  sets.addReference("s", selector("app == 'web'"));
  put(sets, pod("a", { ip: "10.0.0.1/32", labels: { app: "web" } }));
  put(sets, pod("b", { ip: "10.0.0.1/32", labels: { app: "web" } }));
  flush();
  assert.deepEqual(told.get("s"), ["10.0.0.1/32"]);
  sets.setSelectable("a", null, new Map());
  assert.deepEqual(flush(), []);
  assert.deepEqual(told.get("s"), ["10.0.0.1/32"]);
  sets.setSelectable("b", null, new Map());
  flush();
  assert.deepEqual(told.get("s"), []);
});

test("a set lives as long as a reference to it", () => {
  const { sets, told, flush } = watched();
  put(sets, pod("a", { ip: "10.0.0.1/32", labels: { app: "web" } }));
  for (let i = 0; i < 2; i++) sets.addReference("s", selector("has(app)"));
  sets.removeReference("s");
  assert.deepEqual(flush(), ["s"]);
  sets.removeReference("s");
  assert.deepEqual(flush(), ["s"]);
  assert.equal(told.has("s"), false);
  sets.removeReference("s");
  assert.deepEqual(flush(), []);
});

test("a named port gives the address with the number, by protocol name or number", () => {
  const { sets, told, flush } = watched();
  sets.addReference("http", webPort("http"));
  sets.addReference("dns", webPort("dns", "udp"));
  put(
    sets,
    pod("a", {
      ip: "",
      ipNetworks: ["10.0.0.1/32", "fd00::1/128"],
      labels: { app: "web" },
      ports: [
        { name: "http", protocol: "TCP", port: 8080 },
        { name: "http", protocol: "UDP", port: 8081 },
        { name: "dns", protocol: 17, port: 53 },
      ],
    }),
  );
  flush();
  assert.deepEqual(told.get("http"), ["10.0.0.1,tcp:8080", "fd00::1,tcp:8080"]);
  assert.deepEqual(told.get("dns"), ["10.0.0.1,udp:53", "fd00::1,udp:53"]);
});

test("an endpoint that comes again unchanged tells nothing; one that moved tells its sets", () => {
  const { sets, told, flush } = watched();
  sets.addReference("s", selector("app == 'web'"));
  sets.addReference("other", selector("app == 'other'"));
  const endpoint = pod("a", { ip: "10.0.0.1/32", labels: { app: "web" } });
  put(sets, endpoint);
  flush();
  put(sets, structuredClone(endpoint));
  assert.deepEqual(flush(), []);
  put(sets, pod("a", { ip: "10.0.0.2/32", labels: { app: "web" } }));
  assert.deepEqual(flush(), ["s"]);
  assert.deepEqual(told.get("s"), ["10.0.0.2/32"]);
});

test("one member more of a told set is told alone, and one that goes and comes back not at all", () => {
  const updates: DataplaneUpdate[] = [];
  const sets = new IpSetMembers((update) => updates.push(update));
  const told = () => {
    sets.flush();
    return updates.splice(0);
  };
  sets.addReference("s", selector("app == 'web'"));
  const put = (name: string, ip: string) =>
    sets.setSelectable(name, workloadSelectable(pod(name, { ip })), new Map([["app", "web"]]));
  put("a", "10.0.0.1/32");
  const value = { type: "hash:net", members: new Set(["10.0.0.1/32"]) };
  assert.deepEqual(told(), [{ op: "set", kind: "ipSet", id: "s", value }]);
  put("b", "10.0.0.2/32");
  const change = { add: new Set(["10.0.0.2/32"]), remove: new Set() };
  assert.deepEqual(told(), [{ op: "change", kind: "ipSet", id: "s", value: change }]);
  sets.setSelectable("b", null, new Map());
  put("b", "10.0.0.2/32");
  assert.deepEqual(told(), []);
});

test("slices give a service's addresses and ports, whichever came first", () => {
  const { sets, told, flush } = watched();
  const ports = { kind: "service", service: "prod/web", withPorts: true } as const;
  const slice = (name: string, addresses: string[], service = "prod/web") =>
    endpointSlice(name, service, { addresses, ports: [{ port: 80 }] });
  sets.setEndpointSlice("1", slice("1", ["10.0.0.1"]));
  sets.addReference("svc", ports);
  sets.addReference("no", { ...ports, withPorts: false });
  sets.setEndpointSlice("2", slice("2", ["10.0.0.1", "10.0.0.2"]));
  flush();
  assert.deepEqual(told.get("svc"), ["10.0.0.1,tcp:80", "10.0.0.2,tcp:80"]);
  assert.deepEqual(told.get("no"), ["10.0.0.1/32", "10.0.0.2/32"]);
  sets.setEndpointSlice("2", slice("2", ["10.0.0.2"], "prod/other"));
  flush();
  assert.deepEqual(told.get("svc"), ["10.0.0.1,tcp:80"]);
  sets.setEndpointSlice("1", null);
  flush();
  assert.deepEqual(told.get("no"), []);
  sets.removeReference("no");
  sets.setEndpointSlice("1", slice("1", ["10.0.0.3"]));
  assert.deepEqual(flush().sort(), ["no", "svc"]);
});

const sources = new Map<string, SelectorSource>([
  ["web", selector("app == 'web'")],
  ["any", selector("has(app)")],
  ["not", selector("!has(app)")],
  ["http", webPort("http")],
]);
const name = fc.constantFrom("a", "b", "c");
const endpoint = fc
  .record({
    name,
    ip: fc.constantFrom("10.0.0.1/32", "10.0.0.2/32", "fd00::1/128"),
    app: fc.constantFrom("web", "db", undefined),
    port: fc.constantFrom(80, 8080, undefined),
  })
  .map(({ name: podName, ip, app, port }) =>
    pod(podName, {
      ip,
      labels: app === undefined ? {} : { app },
      ports: port === undefined ? [] : [{ name: "http", protocol: "TCP", port }],
    }),
  );
const set = fc.constantFrom(...sources.keys());
const change = fc.oneof(
  fc.record({ op: fc.constant("put" as const), endpoint }),
  fc.record({ op: fc.constant("drop" as const), name }),
  fc.record({ op: fc.constant("refer" as const), set }),
  fc.record({ op: fc.constant("release" as const), set }),
  fc.record({ op: fc.constant("flush" as const) }),
);

test("members are what counting anew would give, after any changes", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const { sets, told, flush } = watched();
      const pods = new Map<string, WorkloadEndpoint>();
      const references = new Map<string, number>();
      for (const step of changes) {
        if (step.op === "put") {
          put(sets, step.endpoint);
          pods.set(step.endpoint.metadata.name, step.endpoint);
        } else if (step.op === "drop") {
          sets.setSelectable(step.name, null, new Map());
          pods.delete(step.name);
        } else if (step.op === "refer") {
          sets.addReference(step.set, sources.get(step.set) as SelectorSource);
          references.set(step.set, (references.get(step.set) ?? 0) + 1);
        } else if (step.op === "release") {
          sets.removeReference(step.set);
          references.set(step.set, Math.max(0, (references.get(step.set) ?? 0) - 1));
        } else flush();
      }
      flush();
      const expected = [...references]
        .filter(([, count]) => count > 0)
        .map(([id]) => [id, expectedMembers(sources.get(id) as SelectorSource, pods)] as const);
      assert.deepEqual(new Map([...told].sort()), new Map([...expected].sort()));
    }),
    { numRuns: 300 },
  );
});

function expectedMembers(
  source: SelectorSource,
  pods: ReadonlyMap<string, WorkloadEndpoint>,
): string[] {
  const chosen = [...pods.values()].filter((one) =>
    evaluateSelector(source.selector, labelsOf(one)),
  );
  const members = chosen.flatMap(({ spec }) =>
    (spec.ipNetworks ?? []).flatMap((net) =>
      source.kind === "selector"
        ? [net]
        : (spec.ports ?? []).map(({ port }) => `${net.split("/")[0]},tcp:${port}`),
    ),
  );
  return [...new Set(members)].sort();
}
