import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CalicoNodeStatus } from "../../src/api/resources/node-status.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { allEstablished, killSpeaker, losesNoPacket } from "./lab-restart.ts";

/** Three nodes on one segment without encapsulation: each pod's way is a route of the speaker. */

const lab = new TestLab("kr");
let status: LabStatus;

before(async () => {
  await lab.mustLab(
    ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "3", "--pods", "1"],
  );
  status = await lab.status();
});
after(() => lab.down());

test("the speaker is killed twice within 10 s under a continuous ping: no packet is lost", async () => {
  await losesNoPacket(status, async () => {
    await killSpeaker(lab, "node1");
    // The first restart is not over: no session is waited for.
    await killSpeaker(lab, "node1");
    await allEstablished(lab);
  });
});

test("a CalicoNodeStatus tells what the kernel and the sessions of the node are like", async () => {
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: CalicoNodeStatus
metadata: {name: one}
spec: {node: node1, classes: [Agent, BGP, Routes], updatePeriodSeconds: 1}
`);
  const filled = await waitFor(
    async () => {
      const { stdout } = await lab.cli(["get", "caliconodestatus", "one", "-o", "json"]);
      const { status } = JSON.parse(stdout) as CalicoNodeStatus;
      return status?.bgp?.numberEstablishedV4 === 2 ? status : undefined;
    },
    { timeoutMs: 20_000, what: "the status" },
  );
  assert.equal(filled.agent?.birdV4?.state, "Ready");
  assert.deepEqual(
    filled.bgp?.peersV4?.map(({ peerIP, type, state }) => [peerIP, type, state]),
    [
      ["192.168.1.12", "NodeMesh", "Established"],
      ["192.168.1.13", "NodeMesh", "Established"],
    ],
  );
  const [, node2] = status.nodes;
  const route = filled.routes?.routesV4?.find(
    ({ destination }) => destination === node2?.blocks[0],
  );
  assert.equal(route?.gateway, "192.168.1.12");
  assert.deepEqual(route?.learnedFrom, { sourceType: "NodeMesh", peerIP: "192.168.1.12" });
});
