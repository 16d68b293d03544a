import { felixLayers } from "../api/felix-layers.ts";
import { type PoolClass, poolEncapsulation } from "../api/pool-encapsulation.ts";
import type { FelixConfiguration } from "../api/resources/felix-configuration.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { Node, NodeSpec } from "../api/resources/node.ts";
import { type TunnelKind, tunnelHandle, tunnelHandles } from "../ipam/handles.ts";
import type { AddressHolder } from "../ipam/ipam.ts";
import { type Pool, refusal, selectsNode } from "../ipam/pools.ts";
import { type IpAddr, type IpFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { prefixHasAddress } from "../lib/prefix.ts";

/** Families whose traffic between nodes WireGuard is to encrypt. */
export type WireguardFamilies = Readonly<Record<IpFamily, boolean>>;

/** One kind of tunnel: which pools call for it, and where its address is kept on the Node. */
export interface TunnelRow {
  readonly kind: TunnelKind;
  readonly family: IpFamily;
  /** A pool of the family calls for it. */
  calls(pool: IPPool, node: Node, wireguard: WireguardFamilies): boolean;
  read(spec: NodeSpec): string | undefined;
  /** Absent address: the field is removed. */
  write(spec: NodeSpec, address: IpAddr | undefined): NodeSpec;
}

/** In the order in which they are reconciled (facts 3.9). */
export const tunnelRows: readonly TunnelRow[] = [
  wireguardRow(4),
  wireguardRow(6),
  {
    kind: "ipip",
    family: 4,
    calls: (pool) => isCarriedBy(pool, "ipip"),
    read: (spec) => spec.bgp?.ipv4IPIPTunnelAddr,
    write: (spec, address) => withPart(spec, "bgp", { ipv4IPIPTunnelAddr: address }),
  },
  {
    kind: "vxlan",
    family: 4,
    // Tunnels of our own have the addresses of VXLAN: Node has no fields for them.
    calls: (pool) => isCarriedBy(pool, "vxlan", "udp"),
    read: (spec) => spec.ipv4VXLANTunnelAddr,
    write: ({ ipv4VXLANTunnelAddr: _old, ...spec }, address) =>
      address === undefined ? spec : { ...spec, ipv4VXLANTunnelAddr: address },
  },
  {
    kind: "vxlanV6",
    family: 6,
    calls: (pool) => isCarriedBy(pool, "vxlan", "udp", "ip6ip6", "sit"),
    read: (spec) => spec.ipv6VXLANTunnelAddr,
    write: ({ ipv6VXLANTunnelAddr: _old, ...spec }, address) =>
      address === undefined ? spec : { ...spec, ipv6VXLANTunnelAddr: address },
  },
];

/** Any pool will do, once the node has told its key (facts 3.9). */
function wireguardRow(family: IpFamily): TunnelRow {
  const field = `interfaceIPv${family}Address` as const;
  const key = family === 4 ? "wireguardPublicKey" : "wireguardPublicKeyV6";
  return {
    kind: family === 4 ? "wireguard" : "wireguardV6",
    family,
    calls: (_pool, node, wireguard) => wireguard[family] && Boolean(node.status?.[key]),
    read: (spec) => spec.wireguard?.[field],
    write: (spec, address) => withPart(spec, "wireguard", { [field]: address }),
  };
}

function isCarriedBy(pool: IPPool, ...classes: readonly PoolClass[]): boolean {
  return classes.includes(poolEncapsulation(pool).class);
}

/** The spec with these fields of a part set, or removed; a part without fields is removed too. */
function withPart<Name extends "bgp" | "wireguard">(
  present: NodeSpec,
  name: Name,
  fields: Readonly<Record<string, IpAddr | undefined>>,
): NodeSpec {
  const { [name]: part, ...spec } = present;
  const entries = Object.entries({ ...part, ...fields }).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? spec : { ...spec, [name]: Object.fromEntries(entries) };
}

export type TunnelStep =
  | { readonly kind: "keep" }
  /** No pool calls for the tunnel any more: free what the handle has and clear the field. */
  | { readonly kind: "clear" }
  /** Free what the handle has, then take an address from one of these pools. */
  | { readonly kind: "assign"; readonly pools: readonly Pool[] };

/** Pools whose pods need one kind of tunnel, and those of them that give a node its address. */
export interface TunnelPools {
  readonly calling: readonly Pool[];
  readonly giving: readonly Pool[];
}

export function tunnelPools(
  row: TunnelRow,
  pools: readonly Pool[],
  { node, wireguard }: { readonly node: Node; readonly wireguard: WireguardFamilies },
): TunnelPools {
  const calling = pools.filter(
    (pool) => pool.family === row.family && row.calls(pool.resource, node, wireguard),
  );
  const giving = calling.filter(
    (pool) =>
      refusal(pool, "Tunnel") === undefined && selectsNode(pool, node.metadata.labels ?? {}),
  );
  return { calling, giving };
}

/**
 * What FelixConfiguration and the environment want of WireGuard: default < selected < node < environment
 * (facts 2.8, appendix A).
 */
export function wireguardFamilies(
  env: Readonly<Record<string, string | undefined>>,
  configurations: readonly FelixConfiguration[],
  { metadata: { name, labels = {} } }: Node,
): WireguardFamilies {
  const { global = {}, node = {} } = felixLayers(configurations, { name, labels });
  const specs = [global, node];
  const isOn = (name: string) => {
    const stored = specs.reduce<unknown>((value, spec) => spec[name] ?? value, false);
    return /^(true|1|yes|y|t)$/i.test(env[`FELIX_${name.toUpperCase()}`] || String(stored));
  };
  return { 4: isOn("wireguardEnabled"), 6: isOn("wireguardEnabledV6") };
}

/**
 * What to do about one tunnel address of a node (facts 3.9). Pure.
 *
 * Differs from upstream where all pools that call for the tunnel are disabled, being deleted, or for
 * other nodes by now: the pods that still have addresses of them keep the tunnel.
 */
export function tunnelStep(
  row: TunnelRow,
  node: Node,
  context: TunnelPools & { readonly holder: AddressHolder | undefined },
): TunnelStep {
  const { calling, giving, holder } = context;
  const present = row.read(node.spec);
  if (present === undefined) {
    return giving.length === 0 ? { kind: "keep" } : { kind: "assign", pools: giving };
  }
  const address = parsedAddress(present);
  const from = giving.length === 0 ? calling : giving;
  const inPool = address !== undefined && from.some(({ cidr }) => prefixHasAddress(cidr, address));
  const ours = holder !== undefined && isOurs(row.kind, node.metadata.name, holder);
  if (inPool && ours) return { kind: "keep" };
  return giving.length === 0 ? { kind: "clear" } : { kind: "assign", pools: giving };
}

function isOurs(kind: TunnelKind, node: string, holder: AddressHolder): boolean {
  if (holder.handle === tunnelHandle(kind, node)) return true;
  const { type, node: owner } = holder.attributes;
  return type === tunnelHandles[kind].type && owner === node;
}

/** An address as the Node has it; undefined when it is none. */
export function parsedAddress(text: string): IpAddr | undefined {
  return isIpAddr(text) ? parseIpAddr(text) : undefined;
}
