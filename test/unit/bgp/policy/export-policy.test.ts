import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ExportConfig,
  type ExportPeer,
  type ExportStep,
  exportRoute,
} from "../../../../src/bgp/policy/export-policy.ts";
import type { RouteSource } from "../../../../src/bgp/policy/route-reflection.ts";
import { PrefixList, packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const list = (...prefixes: string[]) => new PrefixList(prefixes.map(parsePrefix));

const config: ExportConfig = {
  ownBlocks: list("10.244.1.0/26", "10.9.1.0/26"),
  exportDisabledPools: list("10.9.0.0/16"),
  enabledPools: list("10.244.0.0/16", "10.9.0.0/16"),
  reflectedServices: list("192.0.2.0/24"),
};

const local: RouteSource = { learned: "local", fromClient: false };
const ibgp: RouteSource = { learned: "ibgp", fromClient: false };
const client: RouteSource = { learned: "ibgp", fromClient: true };
const ebgp: RouteSource = { learned: "ebgp", fromClient: false };
const toIbgp: ExportPeer = { external: false, client: false };
const toClient: ExportPeer = { external: false, client: true };
const toEbgp: ExportPeer = { external: true, client: false };
const noExport = 0xffffff01;
const noAdvertise = 0xffffff02;

type Row = readonly [string, RouteSource, ExportPeer, boolean, ExportStep, (readonly number[])?];

const rows: readonly Row[] = [
  ["10.244.1.0/26", local, toIbgp, true, "own-block"],
  ["10.244.1.0/26", local, toEbgp, true, "own-block"],
  ["10.244.1.5/32", local, toIbgp, false, "inside-own-block"],
  ["10.244.1.5/32", ebgp, toIbgp, false, "inside-own-block"],
  ["10.244.0.0/16", local, toIbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toIbgp, false, "ibgp-split-horizon"],
  ["10.244.2.0/26", client, toIbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toClient, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toEbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ebgp, toIbgp, true, "enabled-pool"],
  ["10.9.1.0/26", local, toIbgp, false, "pool-export-disabled"],
  ["192.0.2.0/24", client, toIbgp, true, "reflected-service"],
  ["0.0.0.0/0", ebgp, toIbgp, false, "no-rule"],
  ["10.0.0.0/8", local, toEbgp, false, "no-rule"],
  ["10.244.1.0/26", local, toIbgp, false, "no-advertise", [noAdvertise]],
  ["10.244.1.0/26", local, toEbgp, false, "no-export", [noExport]],
  ["10.244.1.0/26", local, toIbgp, true, "own-block", [noExport]],
];

rows.forEach(([prefix, source, peer, accepted, step, communities = []]) => {
  const to = peer.external ? "eBGP" : peer.client ? "a client" : "iBGP";
  test(`${prefix} (${source.learned}) to ${to}: ${accepted ? "" : "not "}exported, ${step}`, () => {
    const prefixes = packPrefixes([parsePrefix(prefix)], 4);
    const route = { prefixes, index: 0, source, communities };
    assert.deepEqual(exportRoute(route, peer, config), { accepted, step });
  });
});
