import type { TokenBucket } from "../kernel.ts";
import {
  type Attributes,
  attributesOf,
  type MessageWriter,
  textOf,
  u32Of,
  u64Of,
} from "../netlink/message.ts";

/** Queueing disciplines and filters as rtnetlink messages (linux/pkt_sched.h, struct tcmsg). */

export const qdiscMessage = { new: 36, delete: 37, get: 38 } as const;
export const filterMessage = { new: 44, delete: 45, get: 46 } as const;

const attribute = { kind: 1, options: 2 } as const;
const tbfAttribute = { parameters: 1, rate64: 4, peakRate64: 5, peakBurst: 7 } as const;
const u32Attribute = { classId: 1, selector: 5, actions: 7 } as const;
const actionAttribute = { kind: 1, options: 2 } as const;
const mirredParameters = 2;

const headerBytes = 20;
const rootParent = 0xffffffff;
const ingressParent = 0xfffffff1;
const ingressHandle = 0xffff0000;
/** 1:0, as Calico's. */
const tbfHandle = 0x10000;
const redirectClass = 0x10001;
const redirectPriority = 1;
/** ETH_P_ALL in network order. */
const allProtocols = 0x0300;
const actionStolen = 4;
const egressRedirect = 1;

/** struct tcmsg: family(1) pad(3) ifindex(4) handle(4) parent(4) info(4). */
function header(
  ifindex: number,
  { handle = 0, parent = 0, info = 0 }: { handle?: number; parent?: number; info?: number } = {},
): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(ifindex, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(info, 16);
  return bytes;
}

/** tc qdisc replace dev IFINDEX root handle 1: tbf ... */
export function writeTbf(writer: MessageWriter, ifindex: number, bucket: TokenBucket): void {
  const { peak } = bucket;
  // struct tc_tbf_qopt: rate and peak rate (12 octets each, the rate itself last), limit, buffer, mtu.
  const parameters = Buffer.alloc(36);
  parameters.writeUInt32LE(Math.min(bucket.rate, 0xffffffff), 8);
  parameters.writeUInt32LE(Math.min(peak?.rate ?? 0, 0xffffffff), 20);
  parameters.writeUInt32LE(bucket.limit, 24);
  parameters.writeUInt32LE(bucket.buffer, 28);
  writer.header(header(ifindex, { handle: tbfHandle, parent: rootParent }));
  writer.text(attribute.kind, "tbf");
  writer.nest(attribute.options, () => {
    writer.attribute(tbfAttribute.parameters, parameters);
    writer.attribute(tbfAttribute.rate64, u64(bucket.rate));
    if (peak === undefined) return;
    writer.attribute(tbfAttribute.peakRate64, u64(peak.rate));
    writer.u32(tbfAttribute.peakBurst, peak.minburst);
  });
}

/** tc qdisc add dev IFINDEX ingress */
export function writeIngress(writer: MessageWriter, ifindex: number): void {
  writer.header(header(ifindex, { handle: ingressHandle, parent: ingressParent }));
  writer.text(attribute.kind, "ingress");
}

export function writeQdiscRemoval(
  writer: MessageWriter,
  ifindex: number,
  place: "root" | "ingress",
): void {
  const parent = place === "root" ? rootParent : ingressParent;
  writer.header(header(ifindex, { parent }));
}

/** tc filter add dev IFINDEX parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred ... */
export function writeRedirect(writer: MessageWriter, ifindex: number, toIfindex: number): void {
  // struct tc_u32_sel: terminal, one key; struct tc_u32_key: no bit has to match.
  const selector = Buffer.alloc(32);
  selector.writeUInt8(1, 0);
  selector.writeUInt8(1, 2);
  // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
  const mirred = Buffer.alloc(28);
  mirred.writeInt32LE(actionStolen, 8);
  mirred.writeInt32LE(egressRedirect, 20);
  mirred.writeUInt32LE(toIfindex, 24);
  const info = redirectPriority * 0x10000 + allProtocols;
  writer.header(header(ifindex, { parent: ingressHandle, info }));
  writer.text(attribute.kind, "u32");
  writer.nest(attribute.options, () => {
    writer.u32(u32Attribute.classId, redirectClass);
    writer.nest(u32Attribute.actions, () => {
      writer.nest(1, () => {
        writer.text(actionAttribute.kind, "mirred");
        writer.nest(actionAttribute.options, () => writer.attribute(mirredParameters, mirred));
      });
    });
    writer.attribute(u32Attribute.selector, selector);
  });
}

export function writeFilterRequest(writer: MessageWriter, ifindex: number): void {
  writer.header(header(ifindex, { parent: ingressHandle }));
}

export function writeQdiscRequest(writer: MessageWriter): void {
  writer.header(header(0));
}

/** A qdisc that limits or redirects; undefined: another. */
export type ReadQdisc =
  | { readonly ifindex: number; readonly kind: "tbf"; readonly bucket: TokenBucket }
  | { readonly ifindex: number; readonly kind: "ingress" };

export function readQdisc(body: Buffer): ReadQdisc | undefined {
  if (body.length < headerBytes) return undefined;
  const ifindex = body.readInt32LE(4);
  const attributes = attributesOf(body, headerBytes);
  const kind = textOf(attributes.get(attribute.kind));
  if (kind === "ingress") return { ifindex, kind };
  if (kind !== "tbf" || body.readUInt32LE(12) !== rootParent) return undefined;
  const options = attributesOf(attributes.get(attribute.options) ?? Buffer.alloc(0));
  const bucket = readBucket(options);
  return bucket === undefined ? undefined : { ifindex, kind, bucket };
}

function readBucket(options: Attributes): TokenBucket | undefined {
  const parameters = options.get(tbfAttribute.parameters);
  if (parameters === undefined || parameters.length < 36) return undefined;
  const rate = u64Of(options.get(tbfAttribute.rate64)) ?? parameters.readUInt32LE(8);
  const peakRate = u64Of(options.get(tbfAttribute.peakRate64)) ?? parameters.readUInt32LE(20);
  // The kernel gives the time of the peak's burst, in ticks of 64 ns.
  const minburst = Math.round((parameters.readUInt32LE(32) * 64 * peakRate) / 1e9);
  return {
    rate,
    limit: parameters.readUInt32LE(24),
    buffer: parameters.readUInt32LE(28),
    ...(peakRate === 0 ? {} : { peak: { rate: peakRate, minburst } }),
  };
}

/** Index of the interface that a u32 filter redirects to. */
export function readRedirect(body: Buffer): number | undefined {
  if (body.length < headerBytes) return undefined;
  const inner = (attributes: Attributes, type: number) =>
    attributesOf(attributes.get(type) ?? Buffer.alloc(0));
  const options = inner(attributesOf(body, headerBytes), attribute.options);
  const action = inner(inner(options, u32Attribute.actions), 1);
  const mirred = inner(action, actionAttribute.options).get(mirredParameters);
  return mirred === undefined || mirred.length < 28 ? undefined : u32Of(mirred.subarray(24));
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
