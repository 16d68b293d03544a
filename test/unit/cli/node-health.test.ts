import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { SpeakerStatus } from "../../../src/bgp/speaker/status.ts";
import { runNodeHealth, speakerProblem } from "../../../src/cli/node-health.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-health-"));
const started = new Date("2026-01-01T00:00:00Z");
const env = {
  TORTIE_RUN_DIR: folder,
  CALICO_NODENAME_FILE: join(folder, "nodename"),
};
let answerOfSpeaker: string | undefined;
let speaker: Server;

before(async () => {
  writeFileSync(env.CALICO_NODENAME_FILE, "node1");
  utimesSync(env.CALICO_NODENAME_FILE, started, started);
  speaker = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => {
      if (answerOfSpeaker !== undefined) socket.write(answerOfSpeaker);
    });
  });
  await new Promise<void>((resolve) => speaker.listen(join(folder, "bgp.sock"), resolve));
});
after(async () => {
  await new Promise((resolve) => speaker.close(resolve));
  rmSync(folder, { recursive: true });
});

async function ask(words: readonly string[], more: Record<string, string> = {}) {
  const said: string[] = [];
  const output = { write: (text: string) => said.push(text) > 0 };
  const io = { env: { ...env, ...more }, stdout: output, stderr: output };
  const now = new Date(started.getTime() + 10_000);
  const code = await runNodeHealth(
    words,
    io as unknown as Parameters<typeof runNodeHealth>[1],
    now,
  );
  return { code, said: said.join("") };
}

const peer = { name: "a", address: "192.0.2.1", state: "Established" };
const told = (status: object) => `${JSON.stringify({ row: status })}\n{"end":true}\n`;

test("a speaker that hangs is not live, though it takes connections", async () => {
  answerOfSpeaker = undefined;
  const { code, said } = await ask(["--bird-live", "--threshold-time=1s"]);
  assert.equal(code, 1);
  assert.match(said, /bird-live: the speaker at \S+ has not answered for 1 s/);
});

test("a speaker that has not been told of this node yet is live, and not ready", async () => {
  answerOfSpeaker = told({ asn: null, peers: [] });
  assert.equal((await ask(["--bird-live"])).code, 0);
  const { code, said } = await ask(["--bird-ready"]);
  assert.equal(code, 1);
  assert.match(said, /not told of this node/);
  // As for sessions: a node that has no BGP is well in the end.
  assert.equal((await ask(["--bird-ready", "--threshold-time=5s"])).code, 0);
  answerOfSpeaker = told({ asn: 64512, peers: [peer] });
  assert.equal((await ask(["--bird-ready", "--bird6-ready"])).code, 0);
});

test("speakerProblem() asks for the sessions of one family", () => {
  const row = (fields: object) => ({ ...peer, ...fields }) as SpeakerStatus["peers"][number];
  const status = {
    asn: 64512 as never,
    peers: [row({}), row({ name: "b", address: "fd00::1", state: "Active" })],
  };
  assert.equal(speakerProblem(status, 4, true), "");
  assert.equal(speakerProblem(status, 6, false), "not Established: b (Active)");
});

test("a node that refuses without a reason is not well", async () => {
  const parts = { felix: { live: false, ready: false, reason: "" } };
  const node = createHttpServer((_, response) => {
    response.writeHead(503);
    response.end(JSON.stringify({ ok: false, parts }));
  });
  await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = node.address() as AddressInfo;
    const healthPort = { FELIX_HEALTHPORT: `${port}`, FELIX_HEALTHHOST: "127.0.0.1" };
    const { code, said } = await ask(["--felix-ready"], healthPort);
    assert.equal(code, 1);
    assert.match(said, /answered 503/);
  } finally {
    node.closeAllConnections();
    await new Promise((resolve) => node.close(resolve));
  }
});
