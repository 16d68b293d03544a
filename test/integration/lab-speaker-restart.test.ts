import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
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
