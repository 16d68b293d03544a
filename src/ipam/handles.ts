import { calicoApiVersion } from "../api/meta.ts";
import type { IPAMHandle, IPAMHandleSpec } from "../api/resources/ipam.ts";
import type { Prefix } from "../lib/prefix.ts";
import { sanitizeHandle } from "./block.ts";

/*
 * A handle counts the addresses that it holds in each block, so that all can be released without a
 * search. Its count is raised before the block is written and lowered after: a crash in between
 * leaves it too high, never too low. Too high is repaired by the next release of the handle.
 */

/** Addresses that Windows keeps for itself in each block. */
export const windowsHandle = "windows-reserved-ipam-handle";

/** Kinds of tunnel that have an address of their own, and how they are written (facts 2.7, 3.6). */
export const tunnelHandles = {
  ipip: { prefix: "ipip-tunnel-addr-", type: "ipipTunnelAddress" },
  vxlan: { prefix: "vxlan-tunnel-addr-", type: "vxlanTunnelAddress" },
  wireguard: { prefix: "wireguard-tunnel-addr-", type: "wireguardTunnelAddress" },
  wireguardV6: { prefix: "wireguard-v6-tunnel-addr-", type: "wireguardV6TunnelAddress" },
  vxlanV6: { prefix: "vxlan-v6-tunnel-addr-", type: "vxlanV6TunnelAddress" },
} as const;

export type TunnelKind = keyof typeof tunnelHandles;

/** Name of the handle's resource: Kubernetes knows no capitals. */
export function handleName(handle: string): string {
  return sanitizeHandle(handle).toLowerCase();
}

/** Handle of a tunnel address of a node. */
export function tunnelHandle(kind: TunnelKind, node: string): string {
  return `${tunnelHandles[kind].prefix}${node}`;
}

/** One handle with `count` more addresses in the block. */
export function addToHandle(spec: IPAMHandleSpec, cidr: Prefix, count: number): IPAMHandleSpec {
  return { ...spec, block: { ...spec.block, [cidr]: (spec.block[cidr] ?? 0) + count } };
}

/** One handle with `count` fewer addresses in the block, never below zero. */
export function takeFromHandle(spec: IPAMHandleSpec, cidr: Prefix, count: number): IPAMHandleSpec {
  const { [cidr]: held = 0, ...others } = spec.block;
  const left = held - count;
  return { ...spec, block: left > 0 ? { ...others, [cidr]: left } : others };
}

/** A handle without addresses. */
export function newHandle(id: string): IPAMHandleSpec {
  return { handleID: sanitizeHandle(id), block: {}, deleted: false };
}

export function handleResource(spec: IPAMHandleSpec): IPAMHandle {
  const metadata = { name: handleName(spec.handleID) };
  return { apiVersion: calicoApiVersion, kind: "IPAMHandle", metadata, spec };
}

/** A handle that is not there yet, and how many addresses it gets. */
export interface NewHandle {
  readonly handle: string;
  readonly count: number;
}

export function newHandleResource(cidr: Prefix, { handle, count }: NewHandle): IPAMHandle {
  return handleResource(addToHandle(newHandle(handle), cidr, count));
}
