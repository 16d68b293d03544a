import { InputError } from "../../lib/errors.ts";

/** Bits of the packet mark, one bit each (facts 4.5). */
export interface MarkBits {
  /** Policy let the packet through. */
  readonly accept: number;
  /** Policy of this tier leaves the verdict to the next. */
  readonly pass: number;
  readonly drop: number;
  readonly scratch0: number;
  readonly scratch1: number;
  /** Of what WireGuard's devices send, and of what came from hosts. Absent: the mask has no bit for it. */
  readonly wireguard?: number;
}

/** IptablesMarkMask (facts appendix A). */
export const defaultMarkMask = 0xffff0000;

const names = ["accept", "pass", "drop", "scratch0", "scratch1"] as const;

/**
 * Gives out the bits of `mask`, lowest first, as Calico does.
 *
 * @throws {InputError} when the mask has fewer than five bits or more than 32.
 */
export function allocateMarkBits(mask: number): MarkBits {
  const bits: number[] = [];
  for (let position = 0; position < 32; position++) {
    const bit = 2 ** position;
    if (Math.floor(mask / bit) % 2 === 1) bits.push(bit);
  }
  if (bits.length < names.length || mask >= 2 ** 32 || !Number.isInteger(mask)) {
    throw new InputError(
      `Cannot use iptablesMarkMask 0x${mask.toString(16)}: it needs ${names.length} bits of 32`,
    );
  }
  const [accept = 0, pass = 0, drop = 0, scratch0 = 0, scratch1 = 0, wireguard] = bits;
  return {
    accept,
    pass,
    drop,
    scratch0,
    scratch1,
    ...(wireguard === undefined ? {} : { wireguard }),
  };
}

/** Several bits as one number. */
export function union(...bits: readonly number[]): number {
  return bits.reduce((all, bit) => (all | bit) >>> 0, 0);
}

/** The bits that static chains clear (facts 4.5): all but drop, which nothing reads. */
export function calicoBits({ accept, pass, scratch0, scratch1 }: MarkBits): number {
  return union(accept, pass, scratch0, scratch1);
}
