import assert from "node:assert/strict";
import { addresses, asns, fail, toThem } from "../lab.ts";
import { otherAtDaemon, otherSpeaker } from "./reflection.ts";
import type { Row } from "./row.ts";

/** What the second speaker tells; the sender of several paths has it, too. */
const shared = "10.67.0.0/26";
const receive = { "ipv4-unicast": "receive" };
const send = { "ipv4-unicast": "send" };

export const addPathReceive: Row = async (lab) => {
  await lab.addOther();
  const [{ us, them }] = await Promise.all([
    lab.established({
      neighbor: { addPath: receive },
      daemon: { addPath: "send" },
      routes: [{ prefix: shared }],
      daemonNeighbors: [otherAtDaemon(asns.other)],
    }),
    otherSpeaker(lab, asns.other, { address: addresses.them[4], asn: asns.them }),
  ]);
  const paths = await lab.until("two paths of the daemon", async () => {
    const received = await us.received(shared, toThem);
    return received.length === 2 ? received : fail(JSON.stringify(received));
  });
  const asPaths = paths.map(({ asPath }) => asPath).sort();
  assert.deepEqual(asPaths, [`${asns.them}`, `${asns.them} ${asns.other}`]);
  await them.withdraw(shared);
  await lab.until("one path of the daemon", async () => {
    const received = await us.received(shared, toThem);
    const [path] = received;
    return received.length === 1 && path?.asPath === `${asns.them} ${asns.other}`;
  });
};

export const addPathSend: Row = async (lab) => {
  await lab.addOther();
  const [{ us, them }] = await Promise.all([
    lab.established({
      neighbor: { addPath: send },
      neighbors: [{ address: addresses.other[4], asn: asns.other, passive: true }],
      speaker: { originate: [{ prefix: shared }] },
      daemon: { addPath: "receive" },
    }),
    otherSpeaker(lab, asns.other, { address: addresses.us[4], asn: asns.us }),
  ]);
  const paths = await lab.until("two paths at the daemon", async () => {
    const learned = await them.learned(shared);
    return learned.length === 2 ? learned : fail(JSON.stringify(learned));
  });
  const asPaths = paths.map(({ asPath }) => asPath.join(" ")).sort();
  assert.deepEqual(asPaths, [`${asns.us}`, `${asns.us} ${asns.other}`]);
  await us.ask({ request: "shutdown", name: "Static_10_99_0_3", message: "" });
  await lab.until("one path at the daemon", async () => {
    const learned = await them.learned(shared);
    return learned.length === 1 || fail(JSON.stringify(learned));
  });
};
