import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { globalPolicyOf } from "../../../../src/api/kubernetes/cluster-network-policy.ts";
import type { Kind } from "../../../../src/api/resource-of-kind.ts";
import type { IPPool } from "../../../../src/api/resources/ip-pool.ts";
import {
  type Datastore,
  type Followed,
  isDatastoreError,
  maxWaitingEvents,
  type WatchEvent,
} from "../../../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { waitFor } from "../../../support/wait-for.ts";

/** What a real API server does too seldom to wait for; the rest is tested with a real one. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const is = (code: Parameters<typeof isDatastoreError>[1]) => (error: unknown) =>
  isDatastoreError(error, code);

const pool = (name: string, resourceVersion?: string): IPPool => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  spec: { cidr: "10.0.0.0/8" },
});

/** The answers in turn, the last one for all that come later; gives what was asked. */
async function withAnswers(
  answers: readonly Answer[],
  run: (datastore: Datastore, asked: readonly string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(`${request.method} ${request.url}`);
    request.resume().on("end", () => answer?.(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = { access: { endpoint }, apiGroup: "crd.projectcalico.org/v1" } as const;
  const datastore = await openKubernetesDatastore(config, { deadlineMs: 1_500, askMs: 5 });
  try {
    await run(datastore, asked);
  } finally {
    await datastore.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const json =
  (status: number, body: object, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
const lines =
  (...events: readonly (object | string)[]): Answer =>
  (_request, response) => {
    response.writeHead(200);
    for (const event of events) {
      response.write(typeof event === "string" ? event : `${JSON.stringify(event)}\n`);
    }
    response.end();
  };
/** Answers with the one of the longest path that a request begins with. */
const byPath =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (request, response) => {
    const paths = Object.keys(answers).filter((path) => request.url?.startsWith(path));
    answers[paths.sort((a, b) => b.length - a.length)[0] ?? ""]?.(request, response);
  };
const list = (names: readonly string[], metadata: object): Answer =>
  json(200, { metadata, items: names.map((name) => pool(name, "5")) });

test("429: a write is tried again, for the server did nothing", async () => {
  const answers = [json(429, { message: "too many" }), json(201, pool("p", "7"))];
  await withAnswers(answers, async (datastore, asked) => {
    const created = await datastore.create<"IPPool">(pool("p"));
    assert.equal(created.metadata.resourceVersion, "7");
    assert.equal(asked.length, 2);
  });
});

test("429: Retry-After is kept, by calls and by watches", async () => {
  const busy = json(429, { message: "too many" }, { "Retry-After": "1" });
  await withAnswers([busy, list(["p"], { resourceVersion: "9" })], async (datastore, asked) => {
    const startedAt = performance.now();
    await datastore.list("IPPool");
    assert.ok(performance.now() - startedAt >= 990);
    assert.equal(asked.length, 2);
  });
  const added = lines({ type: "ADDED", object: pool("a", "6") });
  await withAnswers([json(429, {}), added], async (datastore) => {
    const stop = new AbortController();
    for await (const event of datastore.watch(["IPPool"], "5", stop.signal)) {
      assert.equal(event.revision, "6");
      stop.abort();
    }
  });
});

test("followed: a list comes as first events, and what the same watch tells next are changes", async () => {
  const deleted = { type: "DELETED", object: pool("b", "7") };
  const annotations = { "k8s.io/initial-events-end": "true" };
  const end = { type: "BOOKMARK", object: { metadata: { resourceVersion: "8", annotations } } };
  const added = (name: string, version: string) => ({
    type: "ADDED",
    object: pool(name, version),
  });
  const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "6" } } };
  const first = [added("a", "6"), bookmark, added("b", "6"), deleted, end];
  const answers = [lines(...first, added("later", "9"))];
  await withAnswers(answers, async (datastore, asked) => {
    const { resources, revision, changes } = await followed(datastore, ["IPPool"]);
    assert.deepEqual([resources.map(({ metadata }) => metadata.name), revision], [["a"], "8"]);
    for await (const event of changes) {
      assert.deepEqual([event.kind, event.revision], ["set", "9"]);
      break;
    }
    assert.equal(asked.length, 1);
    assert.match(asked[0] ?? "", /sendInitialEvents=true/);
  });
});

test("followed: one kind's failure ends the watches of the others, in its list and after it", async () => {
  const annotations = { "k8s.io/initial-events-end": "true" };
  const end = { type: "BOOKMARK", object: { metadata: { resourceVersion: "8", annotations } } };
  const expired = { type: "ERROR", object: { metadata: {}, code: 410, message: "too old" } };
  const open = new Set<string>();
  const stays: Answer = (request, response) => {
    open.add(request.url ?? "");
    response.on("close", () => open.delete(request.url ?? ""));
    response.writeHead(200);
    response.write(`${JSON.stringify(end)}\n`);
  };
  const follow = async (datastore: Datastore) => {
    const { changes } = await followed(datastore, ["IPPool", "BGPPeer"]);
    await collect(changes, []);
  };
  const failures = [
    { answer: lines(end, expired), code: "compacted" },
    { answer: json(403, { message: "no" }), code: "forbidden" },
  ] as const;
  for (const { answer, code } of failures) {
    const answers = byPath({
      "/apis/crd.projectcalico.org/v1/ippools": stays,
      "/apis/crd.projectcalico.org/v1/bgppeers": answer,
    });
    await withAnswers([answers], async (datastore, asked) => {
      await assert.rejects(follow(datastore), is(code));
      assert.equal(asked.length, 2);
      await waitFor(() => open.size === 0);
    });
  }
});

test("a server without such a watch is asked for pages, and not asked for it again", async () => {
  const unknown = json(422, { message: "sendInitialEvents: Forbidden" });
  await withAnswers([unknown, list(["a"], { resourceVersion: "5" })], async (datastore, asked) => {
    // All at once, as a syncer's kinds.
    const { resources } = await followed(datastore, ["IPPool", "BGPPeer", "BGPFilter"]);
    assert.equal(resources.length, 3);
    assert.deepEqual(
      asked.map((one) => one.includes("sendInitialEvents")),
      [true, false, false, false],
    );
  });
});

test("a server that refuses such a watch in its first event is asked for pages", async () => {
  const message = "the required storage feature RequestWatchProgress is disabled";
  const refusal = lines({ type: "ERROR", object: { metadata: {}, code: 500, message } });
  const pages = list(["a"], { resourceVersion: "5" });
  await withAnswers([refusal, pages], async (datastore, asked) => {
    for (const _ of [1, 2]) {
      const { resources } = await followed(datastore, ["IPPool"]);
      assert.equal(resources.length, 1);
    }
    assert.equal(asked.filter((one) => one.includes("sendInitialEvents")).length, 1);
  });
});

test("first events that stop are given up for pages; those that end too soon are no list", async () => {
  const stops: Answer = (_request, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: "ADDED", object: pool("a", "6") })}\n`);
  };
  await withAnswers([stops, list(["b"], { resourceVersion: "7" })], async (datastore) => {
    const { resources } = await followed(datastore, ["IPPool"]);
    assert.deepEqual(
      resources.map(({ metadata }) => metadata.name),
      ["b"],
    );
  });
  const ends = lines({ type: "ADDED", object: pool("a", "6") });
  await withAnswers([ends], async (datastore) => {
    await assert.rejects(followed(datastore, ["IPPool"]), is("unavailable"));
  });
});

test("a receiver that takes nothing holds its server back", async () => {
  const line = `${JSON.stringify({ type: "ADDED", object: { ...pool("a", "6"), big: "x".repeat(10_000) } })}\n`;
  const [all, written] = [maxWaitingEvents * 10, { events: 0 }];
  const endless: Answer = (_request, response) => {
    response.writeHead(200);
    const write = () => {
      while (written.events < all) {
        written.events++;
        if (!response.write(line)) break;
      }
    };
    response.on("drain", write);
    write();
  };
  await withAnswers([endless], async (datastore) => {
    const stop = new AbortController();
    const watch = datastore.watch(["IPPool"], "5", stop.signal)[Symbol.asyncIterator]();
    await watch.next();
    let before = -1;
    while (before !== written.events) {
      before = written.events;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(written.events < all, `${written.events} of ${all} were sent`);
    stop.abort();
    await watch.return?.();
  });
});

test("500: a read is tried again until its deadline; a write is not, for it may have been done", async () => {
  await withAnswers([json(500, { message: "etcd is away" })], async (datastore, asked) => {
    await assert.rejects(datastore.create<"IPPool">(pool("p")), (error) => {
      assert.match(String(error), /Cannot create IPPool\/p: etcd is away/);
      return isDatastoreError(error, "unavailable");
    });
    assert.equal(asked.length, 1);
    await assert.rejects(datastore.list("IPPool"), is("unavailable"));
    assert.ok(asked.length > 3);
  });
  const recovers = [json(503, {}), list(["p"], { resourceVersion: "9" })];
  await withAnswers(recovers, async (datastore) => {
    assert.equal((await datastore.list("IPPool")).revision, "9");
  });
});

test("no answer: unavailable after the deadline, for reads and writes", async () => {
  await withAnswers([() => undefined], async (datastore) => {
    await assert.rejects(datastore.list("IPPool"), is("unavailable"));
    await assert.rejects(datastore.update<"IPPool">(pool("p", "1")), is("unavailable"));
  });
});

test("a list whose pages were compacted away is taken again in one piece", async () => {
  const answers = [
    list(["a"], { resourceVersion: "5", continue: "more" }),
    json(410, { reason: "Expired" }),
    list(["a", "b"], { resourceVersion: "8" }),
  ];
  await withAnswers(answers, async (datastore, asked) => {
    const { items, revision } = await datastore.list("IPPool");
    assert.deepEqual([items.map(({ metadata }) => metadata.name), revision], [["a", "b"], "8"]);
    assert.match(asked[1] ?? "", /continue=more/);
    assert.match(asked[2] ?? "", /limit=0/);
  });
});

test("a watch that the server ends goes on from its last event or bookmark", async () => {
  const first: Answer = (_request, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: "ADDED", object: pool("a", "6") })}\n`);
    const bookmark = { kind: "IPPool", metadata: { resourceVersion: "9" } };
    response.write(`${JSON.stringify({ type: "BOOKMARK", object: bookmark })}\n`);
    // A watch that ends within a second is a failure.
    setTimeout(() => response.end(), 1_100);
  };
  const second = lines({ type: "ERROR", object: { code: 410, message: "too old" } });
  await withAnswers([first, second], async (datastore, asked) => {
    const events: WatchEvent[] = [];
    await assert.rejects(
      collect(datastore.watch(["IPPool"], "5", AbortSignal.timeout(10_000)), events),
      is("compacted"),
    );
    assert.deepEqual(
      events.map(({ kind, revision }) => [kind, revision]),
      [
        ["set", "6"],
        ["progress", "9"],
      ],
    );
    assert.match(asked[1] ?? "", /resourceVersion=9/);
  });
});

test("a watch that ends at once, or whose line is no JSON, is unavailable", async () => {
  for (const answer of [lines(), lines("{half\n")]) {
    await withAnswers([answer], async (datastore) => {
      const watch = datastore.watch(["IPPool"], "5", AbortSignal.timeout(10_000));
      await assert.rejects(collect(watch, []), is("unavailable"));
    });
  }
});

test("a watch from what is no revision is compacted", async () => {
  await withAnswers([lines()], async (datastore, asked) => {
    for (const revision of ["", "0", "x"]) {
      const watch = datastore.watch(["IPPool"], revision, AbortSignal.timeout(10_000));
      await assert.rejects(collect(watch, []), is("compacted"));
    }
    assert.deepEqual(asked, []);
  });
});

test("of several kinds, an event tells the oldest revision that any kind has reached", async () => {
  const byKind: Answer = (request, response) => {
    response.writeHead(200);
    const object = request.url?.includes("ippools") ? pool("a", "20") : undefined;
    if (object !== undefined) response.write(`${JSON.stringify({ type: "ADDED", object })}\n`);
  };
  await withAnswers([byKind], async (datastore) => {
    const stop = new AbortController();
    for await (const event of datastore.watch(["IPPool", "BGPPeer"], "5", stop.signal)) {
      assert.deepEqual([event.kind, event.revision], ["set", "5"]);
      stop.abort();
    }
  });
});

/** Nobody ends it: it is closed with the server. */
function followed(datastore: Datastore, kinds: readonly Kind[]): Promise<Followed> {
  assert.ok(datastore.follow !== undefined);
  return datastore.follow(kinds, new AbortController().signal);
}

async function collect(watch: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
  for await (const event of watch) into.push(event);
}

const calicoPolicies = "/apis/crd.projectcalico.org/v1/globalnetworkpolicies";
const clusterPolicies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
const unknown: Answer = (_request, response) => {
  response.writeHead(404);
  response.end("404 page not found\n");
};
const clusterPolicy = {
  metadata: { name: "web", resourceVersion: "6" },
  spec: { tier: "Admin", priority: 1, subject: { namespaces: {} } },
};
/** A watch that tells nothing. */
const quiet: Answer = (_request, response) => {
  response.writeHead(200);
  response.flushHeaders();
};

test("without ClusterNetworkPolicy's CRD there are no such policies; when it comes, they are listed", async () => {
  let there = false;
  const answer = byPath({
    [calicoPolicies]: list([], { resourceVersion: "5" }),
    [`${calicoPolicies}?watch=1`]: quiet,
    [clusterPolicies]: (request, response) =>
      (there ? json(200, { metadata: { resourceVersion: "7" }, items: [clusterPolicy] }) : unknown)(
        request,
        response,
      ),
  });
  await withAnswers([answer], async (datastore, asked) => {
    assert.deepEqual(await datastore.list("GlobalNetworkPolicy"), { items: [], revision: "5" });
    const key = { kind: "GlobalNetworkPolicy", name: "kcnp.default.web" } as const;
    await assert.rejects(datastore.get(key), is("not-found"));
    const stop = new AbortController();
    const ended = assert.rejects(firstEvent(datastore, stop.signal), is("compacted"));
    const before = asked.length;
    await waitFor(() => asked.slice(before).filter((one) => one.includes("limit=1")).length > 2);
    there = true;
    await ended;
    const { items, revision } = await datastore.list("GlobalNetworkPolicy");
    assert.deepEqual(
      [items.map(({ metadata }) => metadata.name), revision],
      [["kcnp.default.web"], "5"],
    );
  });
});

test("a watch whose optional kind is gone ends, so that what was of it is found gone", async () => {
  const answer = byPath({
    [calicoPolicies]: quiet,
    [clusterPolicies]: unknown,
  });
  await withAnswers([answer], async (datastore) => {
    const { signal } = new AbortController();
    await assert.rejects(firstEvent(datastore, signal), is("compacted"));
  });
});

test("a kind that must be there and is not is an error, as is a write of one that need not be", async () => {
  await withAnswers([unknown], async (datastore) => {
    await assert.rejects(datastore.list("IPPool"), /does not know this kind.*deploy\/crds/);
    const policy = globalPolicyOf(clusterPolicy as never);
    await assert.rejects(
      datastore.create<"GlobalNetworkPolicy">(policy),
      /Cannot create GlobalNetworkPolicy\/kcnp\.default\.web: the API server does not know this kind/,
    );
  });
});

async function firstEvent(datastore: Datastore, signal: AbortSignal): Promise<unknown> {
  for await (const event of datastore.watch(["GlobalNetworkPolicy"], "5", signal)) return event;
  return undefined;
}

test("a machine that is not there differs from a server without KubeVirt; a refusal names the right", async () => {
  const machine = { namespace: "shop", name: "db" };
  const stateWith = async (answer: Answer) => {
    let state: string | undefined;
    await withAnswers([answer], async ({ virtualMachines }) => {
      state = await virtualMachines?.stateOf(machine);
    });
    return state;
  };
  assert.equal(await stateWith(json(404, { kind: "Status", reason: "NotFound" })), "gone");
  const noGroup: Answer = (_request, response) => response.writeHead(404).end("404 page not found");
  assert.equal(await stateWith(noGroup), "unknown");
  await assert.rejects(stateWith(json(403, { message: "no" })), (error) => {
    assert.match(String(error), /we may not "get" virtualmachines\.kubevirt\.io/);
    return is("forbidden")(error);
  });
});
