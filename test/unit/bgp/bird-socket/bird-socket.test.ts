import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { pino } from "pino";
import { serveBird } from "../../../../src/bgp/bird-socket/serve-bird.ts";
import type { Clock } from "../../../../src/lib/clock.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { FakeRunning } from "../control/running.ts";

const run = promisify(execFile);
const birdcl = "/usr/sbin/birdcl";
const folder = mkdtempSync(join(tmpdir(), "tt-bird-"));
const running = new FakeRunning([
  { address: "10.0.0.2", asn: 64512, client: true, config: { name: "Mesh_10_0_0_2" } },
  { address: "10.0.0.3", asn: 64512, client: true, config: { name: "Node_10_0_0_3" } },
  { address: "fd00::2", asn: 64512, config: { name: "Global_fd00__2", families: [6] } },
]);
const now = new Date("2026-01-01T05:06:07.890Z");
const clock = { date: () => now } as Clock;
const stop = new AbortController();
let served: Promise<void>;

function tell(name: string, prefix: string, asPath: readonly number[] = []): void {
  const attributes = {
    origin: 0,
    asPath: asPath.length === 0 ? [] : [{ kind: "sequence", asns: asPath }],
    localPref: 100,
    communities: [0xfc000001],
  };
  const announced = [{ prefixes: pack(prefix), nextHop: "10.0.0.2" }];
  const update = { kind: "update", withdrawn: [], announced, attributes, endOfRib: [] };
  running.post({ kind: "peer", event: { kind: "update", name, update: update as never } });
}

/** All that comes for these commands until the reply to the last one ends, without the greeting. */
function ask(socket: "bird.ctl" | "bird6.ctl", command: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const connection = connect(join(folder, socket));
    let text = "";
    connection.setEncoding("utf8");
    connection.on("error", reject);
    connection.on("data", (chunk) => {
      text += chunk;
      const [greeting, ...lines] = text.split("\n");
      if (!/^\d{4} .*\n$/m.test(`${lines.at(-2)}\n`) || !text.endsWith("\n")) return;
      assert.match(greeting ?? "", /^0001 BIRD \S+ ready\.$/);
      connection.destroy();
      resolve(lines.slice(0, -1));
    });
    connection.write(`${command}\n`);
  });
}

before(async () => {
  served = serveBird(folder, { running, clock, log: pino({ enabled: false }) })(stop.signal);
  const exists = (name: string) =>
    statSync(join(folder, name), { throwIfNoEntry: false }) !== undefined;
  await waitFor(() => exists("bird.ctl") && exists("bird6.ctl"));
  tell("Mesh_10_0_0_2", "10.65.0.0/26");
  tell("Node_10_0_0_3", "10.65.0.0/26", [64513, 64514]);
  tell("Node_10_0_0_3", "10.64.0.0/14", [64513]);
});

after(async () => {
  stop.abort();
  await served;
  rmSync(folder, { recursive: true });
});

describe("the control sockets of BIRD", () => {
  test("show status", async () => {
    assert.deepEqual((await ask("bird.ctl", "show status")).slice(1), [
      "1011-Router ID is 10.0.0.1",
      " Current server time is 2026-01-01 05:06:07",
      " Last reboot on 2026-01-01 00:00:00",
      " Last reconfiguration on 2026-01-01 00:00:00",
      "0024-Graceful restart recovery in progress",
      "0013 Daemon is up and running",
    ]);
  });

  test("show protocols has the headings that calicoctl checks, and peers of one family", async () => {
    assert.deepEqual(await ask("bird.ctl", "show protocols"), [
      "2002-name     proto    table    state  since       info",
      "1002-Mesh_10_0_0_2 BGP      master   up     00:00:00    Established",
      " Node_10_0_0_3 BGP      master   up     00:00:00    Established",
      "0000 ",
    ]);
    const [, row] = await ask("bird6.ctl", "show protocols");
    assert.match(row ?? "", /^1002-Global_fd00__2 BGP +master +up /);
  });

  test("show protocols all NAME tells state and address", async () => {
    const text = (await ask("bird.ctl", "show protocols all Mesh_10_0_0_2")).join("\n");
    assert.match(text, /^1006- {2}BGP state: {10}Established$/m);
    assert.match(text, /^ {5}Neighbor address: +10\.0\.0\.2$/m);
    assert.doesNotMatch(text, /Node_/);
    assert.deepEqual(await ask("bird.ctl", 'show protocols all "nobody"'), [
      "8003 No protocols match",
    ]);
  });

  test("show route: the best of each prefix first, and only it is primary", async () => {
    assert.deepEqual(await ask("bird.ctl", "show route"), [
      "1007-10.65.0.0/26       via 10.0.0.2 [Mesh_10_0_0_2 00:00:00] * (100/0) [i]",
      "                    via 10.0.0.2 [Node_10_0_0_3 00:00:00] (100/0) [AS64514i]",
      " 10.64.0.0/14       via 10.0.0.2 [Node_10_0_0_3 00:00:00] * (100/0) [AS64513i]",
      "0000 ",
    ]);
    assert.deepEqual(await ask("bird6.ctl", "show route"), ["0000 "]);
  });

  const selections = [
    ["show route 10.65.0.0/26 primary", /^1007-10\.65\.0\.0\/26 [^\n]*\n0000 $/],
    ["show route for 10.66.0.1", /^1007-10\.64\.0\.0\/14 [^\n]*\n0000 $/],
    ["show route for 11.0.0.1", /^8001 Network not in table$/],
    ["show route protocol Mesh_10_0_0_2", /^1007-10\.65\.0\.0\/26 [^\n]*\n0000 $/],
    ["show route export Mesh_10_0_0_2", /^1007-10\.64\.0\.0\/14 [^\n]*\n0000 $/],
    ["show route protocol nobody", /^8003 No protocols match$/],
    ["show route count", /^0014 3 of 3 routes for 2 networks$/],
    ["sh r 10.65.0.0/26 all", /\n1012-\tBGP\.origin: IGP\n \tBGP\.as_path: \n[\s\S]*64512:1/],
    ["configure", /^8007 Access denied/],
    ["restrict", /^0016 Access restricted$/],
    ["show routes of all", /^9001 syntax error/],
    ["", /^9001 syntax error/],
  ] as const;
  for (const [command, expected] of selections) {
    test(`"${command}"`, async () => {
      assert.match((await ask("bird.ctl", command)).join("\n"), expected);
    });
  }

  test("only their owner may open them", () => {
    assert.equal(statSync(join(folder, "bird.ctl")).mode & 0o777, 0o600);
  });

  const noBirdcl = existsSync(birdcl) ? false : "birdcl is not installed";
  test("Debian's birdcl understands the replies", { skip: noBirdcl }, async () => {
    const path = join(folder, "bird.ctl");
    const told = async (...words: readonly string[]) =>
      (await run(birdcl, ["-s", path, ...words])).stdout;
    assert.match(await told("show", "status"), /^Daemon is up and running$/m);
    assert.match(await told("show", "protocols"), /^Node_10_0_0_3 BGP +master +up +00:00:00/m);
    assert.match(
      await told("show", "route"),
      /^10\.64\.0\.0\/14 +via 10\.0\.0\.2 \[Node_10_0_0_3/m,
    );
    assert.match(await told("-r", "show", "route", "count"), /^3 of 3 routes for 2 networks$/m);
  });
});
