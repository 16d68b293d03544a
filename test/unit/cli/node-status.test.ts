import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { serveControl } from "../../../src/bgp/control/serve-control.ts";
import { runNodeStatus } from "../../../src/cli/node-status.ts";
import { framedTable } from "../../../src/cli/output/framed-table.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { LogTail } from "../../../src/lib/log-tail.ts";
import { waitFor } from "../../support/wait-for.ts";
import { FakeRunning } from "../bgp/control/running.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-status-"));
after(() => rmSync(folder, { recursive: true }));
const now = new Date("2026-01-01T05:06:07Z");

async function statusOf(path: string): Promise<string> {
  let text = "";
  const stdout = { write: (part: string) => (text += part) };
  const io = { stdout, stderr: stdout, stdin: Readable.from([]), env: {} };
  assert.equal(await runNodeStatus(["--socket", path], io, now), 0);
  return text;
}

test("node status prints calicoctl's tables", async () => {
  const path = join(folder, "bgp.sock");
  const running = new FakeRunning([
    { address: "172.17.8.102", asn: 64512, type: "NodeMesh" },
    { address: "172.17.8.103", asn: 64512, type: "NodePeer" },
    { address: "172.17.8.104", asn: 64512, type: "LocalWorkload" },
  ]);
  const stop = new AbortController();
  const served = serveControl(
    path,
    { running, tail: new LogTail(), clock: systemClock },
    stop.signal,
  );
  await waitFor(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
  assert.equal(
    await statusOf(path),
    `Calico process is running.

IPv4 BGP status
+--------------+-------------------+-------+----------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     |
+--------------+-------------------+-------+----------+-------------+
| 172.17.8.102 | node-to-node mesh | up    | 00:00:00 | Established |
| 172.17.8.103 | node specific     | up    | 00:00:00 | Established |
+--------------+-------------------+-------+----------+-------------+

IPv6 BGP status
No IPv6 peers found.

`,
  );
  stop.abort();
  await served;
});

test("node status says when nobody answers", async () => {
  await assert.rejects(statusOf(join(folder, "none")), {
    message: "Calico process is not running.",
  });
});

test("framedTable() breaks long cells between words", () => {
  assert.equal(
    framedTable(["info"], [["Active Socket: No route to host here"]]),
    `+----------------------------+
|            INFO            |
+----------------------------+
| Active Socket: No route to |
| host here                  |
+----------------------------+
`,
  );
});
