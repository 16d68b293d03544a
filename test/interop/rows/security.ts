import assert from "node:assert/strict";
import type { PeerRow } from "../../../src/bgp/control/peer-views.ts";
import { addresses, asns, fail, type Lab, speakerYaml, tcpCounter, toThem } from "../lab.ts";
import type { Row } from "./row.ts";

const password = "correct-horse-battery";

function md5(connects: "us" | "them"): Row {
  return async (lab) => {
    await lab.established({
      connects,
      password,
      neighbor: { password: { file: "key" } },
      daemon: { password },
    });
  };
}

export const md5Active: Row = md5("us");
export const md5Passive: Row = md5("them");

export const md5Over6: Row = async (lab) => {
  await lab.established({
    transport: 6,
    password,
    neighbor: { password: { file: "key" }, ttlSecurityHops: 1 },
    daemon: { password, ttlSecurity: true },
  });
};

/** One key for all who come from a prefix. */
export const md5Dynamic: Row = async (lab) => {
  const neighbor = { prefix: "10.99.0.0/24", asn: asns.them, password: { file: "key" } };
  const { us, them } = await lab.session({
    password,
    daemon: { password },
    speaker: { neighbors: [neighbor], originate: [{ prefix: "10.65.0.0/26" }] },
  });
  await lab.pathAt(them, "10.65.0.0/26");
  const [peer] = await us.ask<PeerRow>({ request: "peers" });
  assert.equal(peer?.address, addresses.them[4]);
  assert.equal(peer?.state, "Established");
};

/** Waits until the kernel of either side has dropped something. */
async function dropped(lab: Lab, counter: string): Promise<void> {
  await lab.until(counter, async () => {
    const counts = [
      await tcpCounter(lab.pair.a, counter),
      await tcpCounter(lab.pair.b, counter),
    ] as const;
    return counts.some((count) => count > 0) || fail(`dropped: ${counts.join()}`);
  });
}

/** The file of the password changes, and nothing else: a reload takes it. */
export const md5Wrong: Row = async (lab) => {
  const options = {
    password: "wrong",
    neighbor: { password: { file: "key" } },
    daemon: { password },
  };
  const { us, them } = await lab.session(options);
  await dropped(lab, "TCPMD5Failure");
  assert.notEqual((await us.peer(toThem)).state, "Established");
  assert.notEqual(await them.state(addresses.us[4]), "Established");
  await us.reload(speakerYaml(options), password);
  await lab.waitEstablished(us, them);
};

export const gtsm: Row = async (lab) => {
  const options = { neighbor: { ttlSecurityHops: 1 }, daemon: { ttlSecurity: true } };
  await lab.established(options);
};

/** Its packets could come from far away: our kernel drops them. */
export const gtsmWrong: Row = async (lab) => {
  const { us, them } = await lab.session({ neighbor: { ttlSecurityHops: 1 } });
  await dropped(lab, "TCPMinTTLDrop");
  assert.notEqual((await us.peer(toThem)).state, "Established");
  assert.notEqual(await them.state(addresses.us[4]), "Established");
};
