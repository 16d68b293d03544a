import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { encodeCall, spoolFile } from "../../../src/cni/protocol.ts";
import { SpooledDeletions } from "../../../src/cni/spooled-deletions.ts";
import { createLogger } from "../../../src/lib/log.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-spool-"));
after(() => rmSync(folder, { recursive: true }));

const logged: string[] = [];
const log = createLogger({ name: "cni" }, { write: (line) => void logged.push(line) });
const deletions = new SpooledDeletions(folder, log);

function write(containerId: string, content?: Buffer): string {
  const name = spoolFile("calico", { containerId, ifName: "eth0" });
  const variables = { CNI_COMMAND: "DEL", CNI_CONTAINERID: containerId, CNI_IFNAME: "eth0" };
  writeFileSync(join(folder, name), content ?? encodeCall({ variables, stdin: "{}" }));
  return join(folder, name);
}

/** An agent that answers with this code; 0 is success. */
function answering(code: number) {
  const asked: string[] = [];
  const answer = async ({ variables }: { variables: { CNI_CONTAINERID?: string } }) => {
    asked.push(variables.CNI_CONTAINERID ?? "");
    return { exitCode: Math.min(code, 1), stdout: code === 0 ? "" : JSON.stringify({ code }) };
  };
  return { asked, answer };
}

test("a deletion stays until it is done, or can never be", async () => {
  const file = write("a");
  for (const code of [11, 100]) {
    await deletions.carryOut(answering(code));
    assert.ok(existsSync(file), `${code}`);
  }
  const agent = answering(0);
  await deletions.carryOut(agent);
  assert.deepEqual([existsSync(file), agent.asked], [false, ["a"]]);
  const wrong = write("b");
  await deletions.carryOut(answering(7));
  assert.equal(existsSync(wrong), false);
});

test("what is no deletion is removed, and nobody is asked", async () => {
  const files = [
    write("c", Buffer.from("garbage")),
    write("d", encodeCall({ variables: { CNI_COMMAND: "ADD" }, stdin: "{}" })),
  ];
  const agent = answering(0);
  await deletions.carryOut(agent);
  assert.deepEqual(agent.asked, []);
  assert.deepEqual(
    files.map((file) => existsSync(file)),
    [false, false],
  );
  assert.match(logged.join(""), /calico@c@eth0/);
});

test("a container that is added again is not deleted; one that is being deleted is, before", async () => {
  const file = write("e");
  await deletions.forget("calico", { containerId: "e", ifName: "eth0" });
  assert.equal(existsSync(file), false);
  write("f");
  const events: string[] = [];
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const carrying = deletions.carryOut({
    answer: async () => {
      asked.resolve();
      await held.promise;
      events.push("deleted");
      return { exitCode: 0, stdout: "" };
    },
  });
  await asked.promise;
  const adding = deletions
    .forget("calico", { containerId: "f", ifName: "eth0" })
    .then(() => events.push("may be added"));
  held.resolve();
  await Promise.all([carrying, adding]);
  assert.deepEqual(events, ["deleted", "may be added"]);
});

test("what cannot be read, or fails, stays, and keeps no other from its end", async () => {
  const unreadable = join(folder, "calico@0@eth0");
  mkdirSync(unreadable);
  const files = ["g", "h"].map((containerId) => write(containerId));
  await deletions.carryOut({
    answer: async ({ variables }) => {
      if (variables.CNI_CONTAINERID === "g") throw new Error("a defect");
      return { exitCode: 0, stdout: "" };
    },
  });
  assert.deepEqual([unreadable, ...files].map(existsSync), [true, true, false]);
  assert.match(logged.join(""), /calico@0@eth0.*EISDIR|EISDIR.*calico@0@eth0/);
  await deletions.carryOut(answering(0));
  rmSync(unreadable, { recursive: true });
});

test("no folder, no deletions", async () => {
  const none = new SpooledDeletions(join(folder, "none"), log);
  await none.carryOut(answering(0));
});
