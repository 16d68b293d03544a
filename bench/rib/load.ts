import { ByteWriter } from "../../src/lib/byte-writer.ts";

/** What a sender announces: whole UPDATE messages, one after the other. */
export interface Load {
  readonly bytes: Uint8Array;
  readonly prefixes: number;
  readonly messages: number;
}

interface AttributeSpec {
  readonly nextHop: number;
  readonly asns?: readonly number[];
  readonly med?: number;
  readonly communities?: readonly number[];
}

/** The same numbers in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 to `end`, not included. */
  below(end: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * end);
  }
}

/** Blocks of a node, as Calico's IPAM gives them: `count` /26 with one set of attributes. */
export function clientLoad(client: number, count: number): Load {
  const to = new ByteWriter(1024);
  const prefixes = Array.from({ length: count }, (_, i): [number, number] => [
    (0x0a000000 + (client * count + i) * 64) >>> 0,
    26,
  ]);
  announce(to, { nextHop: (0xac100000 + client + 1) >>> 0 }, prefixes);
  return { bytes: to.finish(), prefixes: count, messages: 1 };
}

/** Withdraws what `clientLoad` announces. */
export function clientWithdrawal(client: number, count: number): Load {
  const body = new ByteWriter(1024).u16(count * 5);
  for (let i = 0; i < count; i++) body.u8(26).u32((0x0a000000 + (client * count + i) * 64) >>> 0);
  const to = new ByteWriter(1024);
  message(to, body.u16(0));
  return { bytes: to.finish(), prefixes: count, messages: 1 };
}

/** A full table: about 5.9 prefixes a set of attributes, of mixed lengths, no two sets alike. */
export function tableLoad(prefixCount: number, setCount: number): Load {
  const random = new Random(7);
  const to = new ByteWriter(32 * 1024 * 1024);
  let made = 0;
  let messages = 0;
  let address = 0x01000000;
  for (let set = 0; set < setCount; set++) {
    const left = setCount - set;
    const mean = (prefixCount - made) / left;
    const count = left === 1 ? prefixCount - made : 1 + random.below(Math.ceil(mean * 2 - 1));
    const prefixes: [number, number][] = [];
    for (let i = 0; i < count; i++) {
      const length = random.below(10) < 6 ? 24 : 20 + random.below(4);
      prefixes.push([address >>> 0, length]);
      address += 2 ** 12;
      if (address >= 0xdf000000) address = 0x01000000 + 2 ** 11;
    }
    made += count;
    announce(to, tableAttributes(set, random), prefixes);
    messages++;
  }
  return { bytes: to.finish(), prefixes: made, messages };
}

function tableAttributes(set: number, random: Random): AttributeSpec {
  const asns = [64600, 3356 + (set % 50)];
  for (let i = random.below(4); i >= 0; i--) asns.push(1000 + random.below(60_000));
  asns.push(100_000 + set);
  const communities = Array.from(
    { length: random.below(6) },
    () => ((3356 << 16) | random.below(5000)) >>> 0,
  );
  return { nextHop: (0xac100001 + (set % 16)) >>> 0, asns, communities, med: random.below(3) * 50 };
}

function announce(
  to: ByteWriter,
  { nextHop, asns = [], med, communities = [] }: AttributeSpec,
  prefixes: readonly (readonly [number, number])[],
): void {
  const attributes = new ByteWriter(256).u8(0x40).u8(1).u8(1).u8(0);
  attributes.u8(0x40).u8(2);
  attributes.u8(asns.length === 0 ? 0 : 2 + asns.length * 4);
  if (asns.length > 0) attributes.u8(2).u8(asns.length);
  for (const asn of asns) attributes.u32(asn);
  attributes.u8(0x40).u8(3).u8(4).u32(nextHop);
  if (med !== undefined) attributes.u8(0x80).u8(4).u8(4).u32(med);
  attributes.u8(0x40).u8(5).u8(4).u32(100);
  if (communities.length > 0) {
    attributes
      .u8(0xc0)
      .u8(8)
      .u8(communities.length * 4);
    for (const community of communities) attributes.u32(community);
  }
  const body = new ByteWriter(1024).u16(0).u16(attributes.length).bytes(attributes.finish());
  for (const [address, length] of prefixes) {
    body.u8(length);
    for (let octet = 0; octet < Math.ceil(length / 8); octet++)
      body.u8(address >>> (24 - octet * 8));
  }
  message(to, body);
}

function message(to: ByteWriter, body: ByteWriter): void {
  for (let i = 0; i < 16; i++) to.u8(0xff);
  to.u16(19 + body.length)
    .u8(2)
    .bytes(body.finish());
}
