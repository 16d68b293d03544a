import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { ribRows } from "../../../../src/bgp/control/rib-rows.ts";
import { fromJson, toJson } from "../../../../src/bgp/record/event-json.ts";
import { Recording } from "../../../../src/bgp/record/recording.ts";
import { replay } from "../../../../src/bgp/record/replay.ts";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type { SpeakerEvent } from "../../../../src/bgp/speaker/events.ts";
import type { Speaker } from "../../../../src/bgp/speaker/speaker.ts";
import { decodeUpdate } from "../../../../src/bgp/wire/update.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { fromHex } from "../../../support/hex.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { FedSpeaker, nameOf, own } from "../bmp/fed-speaker.ts";

const [a, b] = ["192.0.2.2", "192.0.2.3"];
const key = "tell no one";
const folder = mkdtempSync(join(tmpdir(), "tt-record-"));
after(() => rmSync(folder, { recursive: true }));

/** What a speaker with two peers, one of which has a password, lives through; and its recording. */
async function recorded(name: string, maxBytes?: number) {
  const path = join(folder, name);
  const clock = new FakeClock();
  const log = createLogger({ name: "test", level: "silent" });
  const limit = maxBytes === undefined ? {} : { maxBytes };
  const recording = new Recording({ path, ...limit }, { clock, log });
  const peers = [
    { address: a, asn: 65_001, config: { password: new Secret(key) } },
    { address: b, asn: 64_512, client: true },
  ];
  const fed = new FedSpeaker(peers, 64_512, (host) => recording.watch(host));
  fed.up(a, { addPath: { receive: [4], send: [] } });
  fed.up(b);
  clock.advance(1500);
  fed.announce(a, { ...pack("10.0.0.0/8"), pathIds: Uint32Array.of(3) });
  fed.announce(b, "10.0.0.0/8 10.1.0.0/16");
  fed.announce(b, "fd00::/8", "fd00::2");
  fed.post({ kind: "peer", event: { kind: "update", name: nameOf(b), update: received() } });
  fed.update(b, { withdrawn: [pack("10.1.0.0/16")], endOfRib: [4] });
  fed.post({ kind: "timerExpired", timer: `settle ${nameOf(a)}` });
  fed.post({ kind: "restarted" });
  fed.post({ kind: "flush" });
  await recording.close();
  return { fed, path, lines: readFileSync(path, "utf8").split("\n").slice(0, -1) };
}

/** As it comes from the decoder: attributes are behind a getter, and known only until it returns. */
function received() {
  const body = fromHex("0000 0015 40010100 400200 4003040a000001 800404 00000007 180a0202");
  const decoded = decodeUpdate(body, { fourOctetAs: true, external: false, families: [4, 6] });
  assert.ok(decoded.ok);
  return decoded.message;
}

function rowsOf(speaker: Speaker) {
  return [{}, { in: nameOf(a) }, { in: nameOf(b) }].map((query) =>
    [...ribRows(speaker, query)].filter((row) => row !== undefined),
  );
}

suite("a recorded run", () => {
  test("replays to the same RIBs", async () => {
    const { fed, lines } = await recorded("same");
    const { speaker, events } = await replay(lines);
    assert.deepEqual(rowsOf(speaker), rowsOf(fed.speaker));
    assert.ok(rowsOf(speaker).every((rows) => rows.length > 0));
    assert.equal(events, lines.length - 1);
  });

  test("tells when it was, and what happened when", async () => {
    const { lines } = await recorded("times");
    const [heading, ...rest] = lines.map((line) => fromJson(line) as Record<string, unknown>);
    assert.deepEqual(heading, {
      recorded: "tortie bgp",
      version: 1,
      at: "2026-01-01T00:00:00.000Z",
    });
    assert.deepEqual([rest[0]?.["ms"], rest.at(-1)?.["ms"]], [0, 1500]);
  });

  test("has no secret, and only its owner may read it", async () => {
    const { path } = await recorded("secret");
    const text = readFileSync(path, "utf8");
    assert.ok(!text.includes(key) && !text.includes("password"));
    assert.ok(!text.includes(new Secret(key).fingerprint));
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test("replaces what was in its file", async () => {
    await recorded("again");
    const { lines } = await recorded("again");
    assert.equal(lines.filter((line) => line.includes('"recorded"')).length, 1);
  });

  test("ends at its limit", async () => {
    const { path, lines } = await recorded("limit", 3000);
    assert.ok(statSync(path).size <= 3000);
    const { events } = await replay(lines);
    assert.ok(events > 0 && events === lines.length - 1);
  });
});

suite("replay", () => {
  test("a last line that is cut does not count", async () => {
    const { lines } = await recorded("cut");
    const cut = lines.map((line, index) => (index === lines.length - 1 ? line.slice(0, -5) : line));
    assert.equal((await replay(cut)).events, lines.length - 2);
  });

  test("says which line is no event, and that a file is no recording", async () => {
    const { lines } = await recorded("broken");
    const broken = lines.map((line, index) => (index === 2 ? "{" : line));
    await assert.rejects(replay(broken), /line 3 is no event/);
    await assert.rejects(replay([]), /not that of a recording/);
    await assert.rejects(
      replay(['{"recorded":"tortie bgp","version":2}']),
      /not that of a recording/,
    );
  });
});

suite("toJson", () => {
  test("gives back what holds maps, octets and next hops", () => {
    const source = {
      routes: [],
      ownAddresses: [parseIpAddr(own)],
      interfaceNames: new Map([[2, "eth0"]]),
    };
    const event: SpeakerEvent = { kind: "nextHops", nextHops: new NextHops(source) };
    const back = fromJson(toJson(event)) as Extract<SpeakerEvent, { kind: "nextHops" }>;
    assert.ok(back.nextHops instanceof NextHops);
    assert.deepEqual(back.nextHops.source, source);
    const octets = { value: Uint8Array.of(1, 255), list: [undefined, null] };
    assert.deepEqual(fromJson(toJson(octets)), {
      value: Uint8Array.of(1, 255),
      list: [null, null],
    });
  });
});
