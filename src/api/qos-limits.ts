/** What may be asked for of one pod's traffic in one direction (facts 2.6), wherever it is asked for. */
export type QosLimit =
  | "Bandwidth"
  | "Burst"
  | "Peakrate"
  | "Minburst"
  | "PacketRate"
  | "PacketBurst"
  | "MaxConnections";

type Range = readonly [min: number, max: number];

/** Bits a second, bits, bits a second, bytes, packets a second, packets, connections. */
export const qosRanges: Readonly<Record<QosLimit, Range>> = {
  Bandwidth: [1e3, 1e15],
  Burst: [1e3, 34_359_738_360],
  Peakrate: [1.01e3, 1.01e15],
  Minburst: [1e3, 1e8],
  PacketRate: [1, 1e4],
  PacketBurst: [1, 1e4],
  MaxConnections: [1, 2 ** 32 - 1],
};

/** Where a bandwidth has no burst, in bits. */
export const defaultBurst: number = 4 * 1024 ** 3;
/** Where a packet rate has no burst, in packets. */
export const defaultPacketBurst = 5;

export function nearestInRange(value: number, [min, max]: Range): number {
  return Math.min(max, Math.max(min, value));
}
