import { test } from "node:test";
import { TestLab } from "../support/lab.ts";
import { allEstablished, killSpeaker, losesNoPacket } from "./lab-restart.ts";

/** The speaker of one node of three is killed and comes back, while all pods ping all. */

const labs: readonly [what: string, ...args: string[]][] = [
  ["one segment", "--encapsulation", "None", "--segments", "1", "--pods", "1"],
  ["a fabric that speaks BGP", "--encapsulation", "None", "--fabric", "bgp", "--pods", "1"],
];

for (const [index, [what, ...args]] of labs.entries()) {
  test(`a speaker that is killed loses no packet: ${what}`, async (t) => {
    const lab = new TestLab(`k${index}`);
    try {
      await lab.mustLab("up", ...args);
      const status = await lab.status();
      for (const node of ["node1", "node3"]) {
        await t.test(`${node}, once`, () =>
          losesNoPacket(status, async () => {
            await killSpeaker(lab, node);
            await allEstablished(lab);
          }),
        );
        await t.test(`${node}, twice, the second time in the middle of the restart`, () =>
          losesNoPacket(status, async () => {
            await killSpeaker(lab, node);
            await killSpeaker(lab, node);
            await allEstablished(lab);
          }),
        );
        await t.test(`${node}, twice, the second time when its sessions are back`, () =>
          losesNoPacket(status, async () => {
            await killSpeaker(lab, node);
            await allEstablished(lab);
            await killSpeaker(lab, node);
            await allEstablished(lab);
          }),
        );
      }
    } finally {
      await lab.down();
    }
  });
}
