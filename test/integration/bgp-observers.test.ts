import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { BmpCollector } from "../support/bmp-collector.ts";
import { freePort, StandaloneSpeaker } from "../support/standalone-speaker.ts";
import { waitFor } from "../support/wait-for.ts";

const hasBgpdump = spawnSync("bgpdump", ["-v"]).error === undefined;

/** Lines of bgpdump, fields behind the time. */
function bgpdump(file: string): string[][] {
  return execFileSync("bgpdump", ["-m", file], { encoding: "utf8", stdio: "pipe" })
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("|"));
}

describe("those who look on at a speaker of its own file", () => {
  const collector = new BmpCollector();
  const speakers: StandaloneSpeaker[] = [];
  let observed: StandaloneSpeaker;
  let source: StandaloneSpeaker;
  let sourceFile: (prefixes: readonly string[]) => string;

  before(async () => {
    const [bgpPort, bmpPort] = [await freePort(), await collector.listen()];
    const neighbor = (address: string, asn: number) =>
      `neighbors: [{address: ${address}, port: ${bgpPort}, asn: ${asn}, families: [ipv4-unicast, ipv6-unicast]}]`;
    observed = new StandaloneSpeaker(
      [
        "asn: 64512",
        "routerId: 127.0.0.1",
        `listen: [{address: 127.0.0.1, port: ${bgpPort}}]`,
        `bmp: [{address: 127.0.0.1, port: ${bmpPort}}]`,
        "mrt: {messages: messages.mrt}",
        "originate: [{prefix: 10.9.0.0/16}]",
        neighbor("127.0.0.2", 65001),
      ].join("\n"),
    );
    sourceFile = (prefixes) =>
      [
        "asn: 65001",
        "routerId: 127.0.0.2",
        `listen: [{address: 127.0.0.2, port: ${bgpPort}}]`,
        "originate:",
        ...prefixes.map((prefix) => `  - {prefix: "${prefix}", communities: ["65001:7"]}`),
        neighbor("127.0.0.1", 64512),
      ].join("\n");
    source = new StandaloneSpeaker(sourceFile(["10.1.0.0/16", "10.2.0.0/16", "fd00:1::/64"]));
    speakers.push(observed, source);
  });

  after(async () => {
    await Promise.all(speakers.map((speaker) => speaker.stop()));
    for (const speaker of speakers) speaker.remove();
    await collector.close();
  });

  test("a collector is told of the session and its routes, as they come and go", async () => {
    await waitFor(() => collector.last?.routes.get("127.0.0.2")?.has("10.2.0.0/16"), {
      timeoutMs: 30_000,
      what: `routes at the collector: ${observed.log}`,
    });
    const up = collector.last?.messages.find(({ type }) => type === "peerUp");
    assert.ok(up?.type === "peerUp" && up.opens[1].kind === "open");
    assert.deepEqual(
      [up.local, up.opens[1].asn, up.opens[1].routerId],
      ["127.0.0.1", 65001, 0x7f000002],
    );
    assert.ok(up.ports[0] > 0 && up.ports[1] > 0);
    source.reload(sourceFile(["10.1.0.0/16"]));
    await waitFor(() => collector.last?.routes.get("127.0.0.2")?.size === 1, {
      what: "withdrawal",
    });
  });

  test("`tortie bgp dump --mrt` is what bgpdump reads", { skip: !hasBgpdump }, async () => {
    const file = join(observed.folder, "rib.mrt");
    assert.match(await observed.ask("dump", "--mrt", file), /rib\.mrt: \d+ octets/);
    const rows = bgpdump(file).map(
      ([kind, , how, peer, asn, prefix, path, , nextHop, ...rest]) => ({
        kind,
        how,
        peer,
        asn,
        prefix,
        path,
        nextHop,
        communities: rest[2],
      }),
    );
    assert.deepEqual(rows, [
      {
        kind: "TABLE_DUMP2",
        how: "B",
        peer: "0.0.0.0",
        asn: "64512",
        prefix: "10.9.0.0/16",
        path: "",
        nextHop: "0.0.0.0",
        communities: "",
      },
      {
        kind: "TABLE_DUMP2",
        how: "B",
        peer: "127.0.0.2",
        asn: "65001",
        prefix: "10.1.0.0/16",
        path: "65001",
        nextHop: "127.0.0.2",
        communities: "65001:7",
      },
    ]);
  });

  test("the file of messages is what bgpdump reads", { skip: !hasBgpdump }, async () => {
    await source.stop();
    const file = join(observed.folder, "messages.mrt");
    const lines = await waitFor(() => {
      const all = bgpdump(file);
      const hasEnded = all.some(([, , how, , , before]) => how === "STATE" && before === "6");
      return hasEnded ? all : undefined;
    });
    const states = lines.filter(([, , how]) => how === "STATE").map((line) => line.slice(3));
    assert.deepEqual(states.slice(0, 2), [
      ["127.0.0.2", "65001", "5", "6"],
      ["127.0.0.2", "65001", "6", "1"],
    ]);
    const told = new Set(lines.map(([, , how, peer, , prefix]) => `${how} ${peer} ${prefix}`));
    for (const line of ["A 127.0.0.2 10.1.0.0/16", "W 127.0.0.2 10.2.0.0/16"]) {
      assert.ok(told.has(line), `${line} in ${[...told].join("\n")}`);
    }
  });
});

describe("tortie bgp --record", () => {
  test("what it writes replays to the routes that the speaker had", async () => {
    const port = await freePort();
    const speaker = (own: string, other: string, asn: number, peerAsn: number) =>
      [
        `asn: ${asn}`,
        `routerId: ${own}`,
        `listen: [{address: ${own}, port: ${port}}]`,
        `originate: [{prefix: 10.${asn % 100}.0.0/16}]`,
        `neighbors: [{address: ${other}, port: ${port}, asn: ${peerAsn}, localAddress: ${own}}]`,
      ].join("\n");
    const recorded = new StandaloneSpeaker(speaker("127.0.0.3", "127.0.0.4", 65003, 65004), [
      "--record",
      "run.jsonl",
    ]);
    const other = new StandaloneSpeaker(speaker("127.0.0.4", "127.0.0.3", 65004, 65003));
    try {
      await waitFor(async () => (await recorded.rows("rib")).length === 2, { timeoutMs: 30_000 });
      const rows = await recorded.rows("rib");
      await recorded.stop();
      assert.deepEqual(await recorded.rows("replay", "run.jsonl"), rows);
    } finally {
      await Promise.all([recorded.stop(), other.stop()]);
      for (const each of [recorded, other]) each.remove();
    }
  });
});
