import { hash } from "node:crypto";
import { maxInterfaceNameLength } from "../../api/names.ts";
import type { TokenBucket } from "../../kernel/kernel.ts";
import type { Bandwidth } from "../calc/updates.ts";

/** Of the devices through whose queues goes what limited pods send (facts 4.19). */
export const ifbPrefix = "bwcali";

/** Name of the device for one pod's interface: the one that Calico gives it. */
export function ifbName(interfaceName: string): string {
  return (ifbPrefix + hash("sha512", interfaceName, "hex")).slice(0, maxInterfaceNameLength);
}

const max32 = 2 ** 32 - 1;
const ticksPerMicrosecond = 1000 / 64;
/** How long a packet may wait. */
const latencySeconds = 0.025;
const ethernetHeaderBytes = 14;

/** Calico's figures, so that its filter is ours. `mtu` is that of the device. */
export function tokenBucket({ rate, burst, peak }: Bandwidth, mtu: number): TokenBucket {
  const bytes = Math.floor(rate / 8);
  const buffer = fillTicks(Math.floor(burst / 8), bytes);
  const limit = limited(bytes * latencySeconds + buffer);
  if (peak === undefined) return { rate: bytes, buffer, limit };
  const peakBytes = Math.floor(peak.rate / 8);
  const peakLimit = limited(peakBytes * latencySeconds + fillTicks(peak.minburst, peakBytes));
  const minburst = Math.max(peak.minburst, mtu + ethernetHeaderBytes);
  return {
    rate: bytes,
    buffer,
    limit: Math.min(limit, peakLimit),
    peak: { rate: peakBytes, minburst },
  };
}

/** How long so many octets take at this rate. */
function fillTicks(octets: number, rate: number): number {
  return limited(limited((octets * 1e6) / rate) * ticksPerMicrosecond);
}

function limited(value: number): number {
  return Math.min(Math.floor(value), max32);
}

/** The kernel keeps the peak's burst as a time in ticks of 64 ns. */
export function sameBucket(a: TokenBucket, b: TokenBucket | undefined): boolean {
  if (b === undefined || a.rate !== b.rate || a.limit !== b.limit || a.buffer !== b.buffer)
    return false;
  if (a.peak?.rate !== b.peak?.rate) return false;
  const tickOctets = ((a.peak?.rate ?? 0) * 64) / 1e9;
  return Math.abs((a.peak?.minburst ?? 0) - (b.peak?.minburst ?? 0)) <= tickOctets + 1;
}
