import type { EncapMode, IPPoolSpec } from "../api/resources/ip-pool.ts";
import type { Node, NodeSpec } from "../api/resources/node.ts";
import { type TunnelKind, tunnelHandle, tunnelHandles } from "../ipam/handles.ts";
import type { AddressHolder } from "../ipam/ipam.ts";
import { type Pool, refusal, selectsNode } from "../ipam/pools.ts";
import { type IpAddr, type IpFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { prefixHasAddress } from "../lib/prefix.ts";

/** One kind of tunnel: which pools call for it, and where its address is kept on the Node. */
export interface TunnelRow {
  readonly kind: TunnelKind;
  readonly family: IpFamily;
  mode(pool: IPPoolSpec): EncapMode | undefined;
  read(spec: NodeSpec): string | undefined;
  /** Absent address: the field is removed. */
  write(spec: NodeSpec, address: IpAddr | undefined): NodeSpec;
}

/** In the order in which they are reconciled (facts 3.9). */
export const tunnelRows: readonly TunnelRow[] = [
  {
    kind: "ipip",
    family: 4,
    mode: (pool) => pool.ipipMode,
    read: (spec) => spec.bgp?.ipv4IPIPTunnelAddr,
    write: (spec, address) => {
      const { ipv4IPIPTunnelAddr: _old, ...bgp } = spec.bgp ?? {};
      return {
        ...spec,
        bgp: { ...bgp, ...(address === undefined ? {} : { ipv4IPIPTunnelAddr: address }) },
      };
    },
  },
  {
    kind: "vxlan",
    family: 4,
    mode: (pool) => pool.vxlanMode,
    read: (spec) => spec.ipv4VXLANTunnelAddr,
    write: ({ ipv4VXLANTunnelAddr: _old, ...spec }, address) =>
      address === undefined ? spec : { ...spec, ipv4VXLANTunnelAddr: address },
  },
  {
    kind: "vxlanV6",
    family: 6,
    mode: (pool) => pool.vxlanMode,
    read: (spec) => spec.ipv6VXLANTunnelAddr,
    write: ({ ipv6VXLANTunnelAddr: _old, ...spec }, address) =>
      address === undefined ? spec : { ...spec, ipv6VXLANTunnelAddr: address },
  },
];

export type TunnelStep =
  | { readonly kind: "keep" }
  /** No pool calls for the tunnel: free what the handle has and clear the field. */
  | { readonly kind: "clear" }
  /** Free what the handle has, then take an address from one of these pools. */
  | { readonly kind: "assign"; readonly pools: readonly Pool[] };

/** Pools that give a node addresses for one kind of tunnel. */
export function tunnelPools(
  row: TunnelRow,
  pools: readonly Pool[],
  nodeLabels: Readonly<Record<string, string>>,
): Pool[] {
  return pools.filter((pool) => {
    const mode = row.mode(pool.resource.spec) ?? "Never";
    return (
      pool.family === row.family &&
      mode !== "Never" &&
      refusal(pool, "Tunnel") === undefined &&
      selectsNode(pool, nodeLabels)
    );
  });
}

/** What to do about one tunnel address of a node (facts 3.9). Pure. */
export function tunnelStep(
  row: TunnelRow,
  node: Node,
  context: { readonly pools: readonly Pool[]; readonly holder: AddressHolder | undefined },
): TunnelStep {
  const { pools, holder } = context;
  const present = row.read(node.spec);
  if (pools.length === 0) return present === undefined ? { kind: "keep" } : { kind: "clear" };
  const address = present === undefined ? undefined : parsedAddress(present);
  const inPool = address !== undefined && pools.some(({ cidr }) => prefixHasAddress(cidr, address));
  const ours = holder !== undefined && isOurs(row.kind, node.metadata.name, holder);
  return inPool && ours ? { kind: "keep" } : { kind: "assign", pools };
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
