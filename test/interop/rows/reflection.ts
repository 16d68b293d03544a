import assert from "node:assert/strict";
import type { DaemonNeighbor } from "../../support/daemons/daemon.ts";
import { addresses, asns, type Lab } from "../lab.ts";
import type { SpeakerYaml, TestSpeaker } from "../speaker.ts";
import type { Row } from "./row.ts";

const theirs = "10.66.0.0/26";
const ofOther = "10.67.0.0/26";

/** A second client, with a prefix of its own: it connects to the reflector. */
export function otherSpeaker(lab: Lab, asn: number, neighbor: SpeakerYaml): Promise<TestSpeaker> {
  return lab.other({
    asn,
    routerId: addresses.other[4],
    originate: [{ prefix: ofOther }],
    neighbors: [
      { name: "up", localAddress: addresses.other[4], connectRetrySeconds: 1, ...neighbor },
    ],
  });
}

/** The second speaker, as the daemon is told of it. */
export function otherAtDaemon(asn: number, more: Partial<DaemonNeighbor> = {}): DaemonNeighbor {
  return {
    address: addresses.other[4],
    localAddress: addresses.them[4],
    asn,
    families: [4],
    passive: true,
    ...more,
  };
}

export const clientOfUs: Row = async (lab) => {
  await lab.addOther();
  const neighbors = [
    { address: addresses.other[4], asn: asns.us, passive: true, routeReflectorClient: true },
  ];
  const [{ us, them }, other] = await Promise.all([
    lab.established({
      ibgp: true,
      neighbor: { routeReflectorClient: true },
      neighbors,
      routes: [{ prefix: theirs }],
    }),
    otherSpeaker(lab, asns.us, { address: addresses.us[4], asn: asns.us }),
  ]);
  await lab.pathHere(us, theirs);
  const there = await lab.pathAt(them, ofOther);
  assert.equal(there.originatorId, addresses.other[4]);
  assert.deepEqual(there.clusterList, [addresses.us[4]]);
  assert.equal(there.nextHop, addresses.other[4]);
  assert.equal(there.localPref, 100);
  const beyond = await lab.until(`${theirs} at the other client`, async () => {
    const [path] = await other.received(theirs, "up");
    return path;
  });
  assert.equal(beyond.originatorId, addresses.them[4]);
  assert.equal(beyond.nextHop, addresses.them[4]);
};

export const clientOfThem: Row = async (lab) => {
  await lab.addOther();
  const ours = "10.65.0.0/26";
  const [{ us }, other] = await Promise.all([
    lab.established({
      ibgp: true,
      speaker: { originate: [{ prefix: ours }] },
      daemon: { routeReflectorClient: true },
      daemonNeighbors: [otherAtDaemon(asns.us, { routeReflectorClient: true })],
    }),
    otherSpeaker(lab, asns.us, { address: addresses.them[4], asn: asns.us }),
  ]);
  const here = await lab.pathHere(us, ofOther);
  assert.equal(here.originatorId, addresses.other[4]);
  assert.deepEqual(here.clusterList, [addresses.them[4]]);
  assert.equal(here.nextHop, addresses.other[4]);
  const beyond = await lab.until(`${ours} at the other client`, async () => {
    const [path] = await other.received(ours, "up");
    return path;
  });
  assert.equal(beyond.originatorId, addresses.us[4]);
};
