import assert from "node:assert/strict";
import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import { addresses, asns, type Lab, type SessionOptions, toThem } from "../lab.ts";
import type { Row } from "./row.ts";

/** A prefix of each family at each side. */
const ours = { 4: "10.65.0.0/26", 6: "fd65::/122" } as const;
const theirs = { 4: "10.66.0.0/26", 6: "fd66::/122" } as const;

const routesOf = (families: readonly IpFamily[]) =>
  families.map((family) => ({ prefix: theirs[family] }));
const originateOf = (families: readonly IpFamily[]) =>
  families.map((family) => ({ prefix: ours[family] }));

async function exchange(lab: Lab, options: SessionOptions): Promise<void> {
  const { families = [4] } = options;
  const { us, them } = await lab.established({
    routes: routesOf(families),
    speaker: { originate: originateOf(families) },
    ...options,
  });
  for (const family of families) {
    const there = await lab.pathAt(them, ours[family]);
    assert.equal(there.nextHop, addresses.us[family]);
    const here = await lab.pathHere(us, theirs[family]);
    assert.equal(here.nextHop, addresses.them[family]);
  }
}

export const active: Row = (lab) => exchange(lab, { connects: "us" });
export const passive: Row = (lab) => exchange(lab, { connects: "them" });
export const familiesOver4: Row = (lab) => exchange(lab, { families: [4, 6] });
export const familiesOver6: Row = (lab) => exchange(lab, { transport: 6, families: [4, 6] });

export const ebgp: Row = async (lab) => {
  const { us, them } = await lab.established({
    routes: [{ prefix: theirs[4], med: 7 }],
    speaker: { originate: [{ prefix: ours[4], med: 5 }] },
  });
  const there = await lab.pathAt(them, ours[4]);
  assert.deepEqual(there.asPath, [asns.us]);
  assert.equal(there.med, 5);
  const here = await lab.pathHere(us, theirs[4]);
  assert.equal(here.asPath, String(asns.them));
  assert.equal(here.med, 7);
  assert.equal((await us.peer(toThem)).negotiated?.fourOctetAs, true);
};

export const extendedNextHop: Row = async (lab) => {
  const { us, them } = await lab.established({
    transport: 6,
    families: [4],
    neighbor: { extendedNextHop: true },
    daemon: { extendedNextHop: true },
    routes: routesOf([4]),
    speaker: { originate: [{ prefix: ours[4] }] },
  });
  assert.equal((await lab.pathAt(them, ours[4])).nextHop, addresses.us[6]);
  assert.equal((await lab.pathHere(us, theirs[4])).nextHop, addresses.them[6]);
};
