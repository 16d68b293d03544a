import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { serveControl } from "../../../../src/bgp/control/serve-control.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { LogTail } from "../../../../src/lib/log-tail.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { FakeRunning, secretNeighbor, TestClient } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-control-"));
const path = join(folder, "run", "bgp.sock");
const running = new FakeRunning([secretNeighbor, { address: "10.0.0.3", asn: 64512 }]);
const tail = new LogTail();
const stop = new AbortController();
const [two, three] = ["Static_10_0_0_2", "Static_10_0_0_3"];
let served: Promise<void>;
const clients: TestClient[] = [];

function client(): TestClient {
  const opened = new TestClient(path);
  clients.push(opened);
  return opened;
}

/** `count` /32s from one address on, told by a peer. */
function tell(name: string, first: number, count: number): void {
  const words = Uint32Array.from({ length: count }, (_, i) => first + i);
  const prefixes = { family: 4, count, words, lengths: new Uint8Array(count).fill(32) } as const;
  const nextHop = "10.0.0.2" as never;
  const attributes = { origin: 0, asPath: [], localPref: 100, communities: [0xfc000001] } as const;
  const update = {
    kind: "update",
    withdrawn: [],
    announced: [{ prefixes, nextHop }],
    attributes,
    endOfRib: [],
  } as const;
  running.post({ kind: "peer", event: { kind: "update", name, update } });
}

before(async () => {
  served = serveControl(path, { running, tail, clock: systemClock }, stop.signal);
  await waitFor(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
});

after(async () => {
  for (const { socket } of clients) socket.destroy();
  stop.abort();
  await served;
  rmSync(folder, { recursive: true });
});

describe("the control socket", () => {
  test("only its owner may open it", () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, "run")).mode & 0o777, 0o700);
  });

  test("one connection may ask again and again", async () => {
    const one = client();
    const peers = await one.ask({ request: "peers" });
    assert.equal(peers.length, 3);
    assert.deepEqual(peers.at(-1), { end: true });
    assert.deepEqual((await one.ask({ request: "peers" })).length, 3);
  });

  test("what it cannot answer it says, and goes on", async () => {
    const one = client();
    const refusals = [
      ["{}", "undefined"],
      ["{broken", "must be a JSON object"],
      [{ request: "dance" }, "there is no such request"],
      [{ request: "peer" }, "without name"],
      [{ request: "peer", name: "nobody" }, 'Cannot find peer "nobody"'],
      [{ request: "rib", in: "nobody" }, 'Cannot find peer "nobody"'],
      [{ request: "why", prefix: "10.0.0.1/8" }, "host bits are set"],
      [{ request: "why-not", prefix: "10.0.0.0/8" }, "without to"],
      [{ request: "refresh", name: two, direction: "up" }, "must be in or out"],
      [{ request: "shutdown", name: two, message: "x".repeat(256) }, "255 octets"],
      [{ request: "start", name: "nobody" }, 'Cannot find peer "nobody"'],
    ] as const;
    for (const [request, reason] of refusals) {
      const lines = await one.ask(request);
      assert.match(JSON.stringify(lines[0]), new RegExp(reason.replaceAll(/[()"]/g, ".+")));
    }
    assert.equal((await one.ask({ request: "peers" })).length, 3);
  });

  test("a line over the limit ends the connection", async () => {
    const one = client();
    assert.deepEqual(await one.ask("{".padEnd(4097)), []);
    const other = client();
    other.socket.write("x".repeat(5000));
    assert.equal(await other.line(), undefined);
  });

  test("peer NAME tells all but the password", async () => {
    const [line] = await client().ask({ request: "peer", name: two });
    assert.ok(line !== undefined && "row" in line);
    const text = JSON.stringify(line);
    assert.doesNotMatch(text, /tell no one/);
    assert.match(text, /"hasPassword":true/);
    assert.match(text, /"families":\["ipv4-unicast"\]/);
  });

  test("rib shows what is chosen, told and heard; why and why-not the reason", async () => {
    const name = two;
    const prefixes = pack("10.65.0.0/26");
    const attributes = { origin: 0, asPath: [], localPref: 100 } as const;
    const announced = [{ prefixes, nextHop: "10.0.0.2" as never }];
    const update = { kind: "update", withdrawn: [], announced, attributes, endOfRib: [] } as const;
    running.post({ kind: "peer", event: { kind: "update", name, update } });
    const one = client();
    const prefix = "10.65.0.0/26";
    const [chosen] = await one.ask({ request: "rib", prefix });
    const [heard] = await one.ask({ request: "rib", in: two });
    const [told] = await one.ask({ request: "rib", out: three });
    const row = {
      prefix,
      peer: two,
      nextHop: "10.0.0.2",
      asPath: "",
      origin: "IGP",
      localPref: 100,
    };
    assert.deepEqual(chosen, { row });
    assert.deepEqual(heard, { row });
    const reflected = { originatorId: "10.0.0.2", clusterList: ["10.0.0.1"] };
    assert.deepEqual(told, { row: { ...row, ...reflected } });
    assert.deepEqual(await one.ask({ request: "rib", out: two }), [{ end: true }]);
    assert.match(JSON.stringify(await one.ask({ request: "why", prefix })), /"verdict":"best"/);
    assert.match(
      JSON.stringify(await one.ask({ request: "why-not", prefix, to: two })),
      /split horizon/,
    );
  });

  test("refresh asks the peer by ROUTE-REFRESH; shutdown and start are the host's", async () => {
    const one = client();
    await one.ask({ request: "refresh", name: three, direction: "in" });
    const [sent] = running.sent;
    assert.equal(sent?.name, three);
    assert.equal(sent?.bytes[18], 5, "type ROUTE-REFRESH");
    await one.ask({ request: "shutdown", name: two, message: "later" });
    assert.equal(running.shutdowns.get(two), "later");
    await one.ask({ request: "start", name: two });
    assert.equal(running.shutdowns.get(two), undefined);
  });

  test("50,000 routes are streamed, and the loop has its turn after every 64 KiB", async () => {
    tell(two, 0x0b000000, 50_000);
    const one = connect(path);
    let [rows, octets, turns, rest, isDone] = [0, 0, 0, "", false];
    const read = new Promise<void>((resolve) => {
      one.on("data", (bytes) => {
        const lines = (rest + bytes.toString("latin1")).split("\n");
        rest = lines.pop() ?? "";
        rows += lines.length;
        octets += bytes.length;
        if (lines.at(-1) === '{"end":true}') resolve();
      });
    });
    const turn = () => {
      turns++;
      if (!isDone) setImmediate(turn);
    };
    turn();
    one.write('{"request":"rib"}\n');
    await read;
    isDone = true;
    one.destroy();
    assert.equal(rows, 50_002);
    assert.ok(turns >= octets / 65_536, `${turns} turns in ${octets} octets`);
  });

  test("a reader that stops reading holds neither memory nor the loop", async () => {
    const one = client();
    one.socket.pause();
    one.socket.write('{"request":"rib"}\n');
    const other = client();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 20; i++) await other.ask({ request: "peers" });
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024);
  });

  test("log --follow gives what was said and what is said, without end", async () => {
    tail.write('{"msg":"before"}\n');
    const one = client();
    one.socket.write('{"request":"log","follow":true}\n');
    assert.deepEqual(await one.line(), { row: { msg: "before" } });
    tail.write('{"msg":"after"}\n');
    assert.deepEqual(await one.line(), { row: { msg: "after" } });
    assert.deepEqual((await client().ask({ request: "log" })).at(-1), { end: true });
  });

  test("followers that have gone make room for others", async () => {
    for (let i = 0; i < 40; i++) {
      const follower = client();
      follower.socket.write('{"request":"log","follow":true}\n');
      assert.ok((await follower.line()) !== undefined);
      follower.socket.destroy();
    }
    await waitFor(async () => (await client().ask({ request: "log" })).length > 0);
  });

  test("the plain questions of lab status are answered as before", async () => {
    const [status] = await client().ask("status");
    assert.match(JSON.stringify(status), /"asn":64512.*"converged":/);
    const [rib] = await client().ask("rib 10.65.0.0/26");
    assert.match(JSON.stringify(rib), /"prefix":"10.65.0.0\/26"/);
    const [wrong] = await client().ask("what");
    assert.match(JSON.stringify(wrong), /Cannot answer \\"what\\"/);
  });
});
