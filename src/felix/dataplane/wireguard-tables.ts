import { isDeepStrictEqual } from "node:util";
import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type { Kernel, KernelRoute, RoutingRule, WireguardPeer } from "../../kernel/kernel.ts";
import { SyncedTable } from "../../kernel/synced-table.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import { failuresOf } from "./kernel-tables.ts";

/** What belongs to WireGuard in the kernel, beside its device: peers, a routing table and the rule to it. */

export function peerTable(kernel: Kernel, ifindex: number): SyncedTable<string, WireguardPeer> {
  const keyOf = ({ publicKey }: WireguardPeer) => publicKey;
  const { wireguard } = kernel;
  return new SyncedTable({
    list: async () => {
      const peers = (await wireguard.get(ifindex))?.peers ?? [];
      return new Map(peers.map((peer) => [keyOf(peer), peer]));
    },
    set: async (entries) =>
      failuresOf(await wireguard.setPeers(ifindex, [...entries.values()]), keyOf),
    remove: async (entries) =>
      failuresOf(await wireguard.removePeers(ifindex, [...entries.values()]), keyOf),
    equal: samePeer,
  });
}

function samePeer(a: WireguardPeer, b: WireguardPeer): boolean {
  return (
    a.keepaliveSeconds === b.keepaliveSeconds &&
    a.presharedKey?.fingerprint === b.presharedKey?.fingerprint &&
    a.endpoint?.address === b.endpoint?.address &&
    a.endpoint?.port === b.endpoint?.port &&
    a.allowed.length === b.allowed.length &&
    new Set([...a.allowed, ...b.allowed]).size === a.allowed.length
  );
}

/** All of a table's routes of one family are ours. */
export function tunnelRouteTable(
  kernel: Kernel,
  family: IpFamily,
  table: number,
): SyncedTable<string, KernelRoute> {
  return new SyncedTable({
    list: async () => {
      const routes = await kernel.routes.list({ family, table });
      const own = routes.filter(({ destination }) => prefixFamily(destination) === family);
      return new Map(own.map((route) => [routeKey(route), route]));
    },
    set: async (entries) =>
      failuresOf(await kernel.routes.replace([...entries.values()]), routeKey),
    remove: async (entries) =>
      failuresOf(await kernel.routes.remove([...entries.values()]), routeKey),
    equal: sameRoute,
  });
}

/** `not fwmark MARK/MARK lookup TABLE`: what the tunnel itself sends has the mark, and goes by the main table. */
export interface TunnelRule {
  readonly family: IpFamily;
  readonly priority: number;
  readonly mark: number;
  readonly table: number;
}

function ruleOf({ family, priority, mark, table }: TunnelRule): RoutingRule {
  return { family, priority, mark, mask: mark, invert: true, table };
}

/** Ours: it has our mark, or our place and table. */
function isOurs(rule: RoutingRule, { priority, mark, table }: TunnelRule): boolean {
  if (rule.invert !== true) return false;
  const hasMark = rule.mark === mark && rule.mask === mark;
  return hasMark || (rule.priority === priority && rule.table === table);
}

/** Leaves exactly the wanted rule, or none. @returns whether there was one of ours. */
export async function applyRule(
  kernel: Kernel,
  rule: TunnelRule,
  wanted: boolean,
): Promise<boolean> {
  const right = ruleOf(rule);
  const present = (await kernel.rules.list(rule.family)).filter((one) => isOurs(one, rule));
  const isRight = (one: RoutingRule) => wanted && isDeepStrictEqual(one, right);
  if (wanted && !present.some(isRight)) await kernel.rules.add(right);
  for (const one of present) if (!isRight(one)) await kernel.rules.remove(one);
  return present.length > 0;
}
