/**
 * The words of an operator in Cease/Administrative Shutdown and Administrative Reset: length (1),
 * UTF-8 (RFC 9003 section 2).
 */

const maxOctets = 255;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Data for the NOTIFICATION: as many whole characters as fit 255 octets. Empty for no words. */
export function encodeShutdownCommunication(words: string): Uint8Array {
  const octets = new Uint8Array(maxOctets);
  const { written } = new TextEncoder().encodeInto(words, octets);
  return written === 0 ? new Uint8Array(0) : Uint8Array.of(written, ...octets.subarray(0, written));
}

/**
 * The words in the data of a NOTIFICATION; undefined when there are none, or when it is not well formed
 * (too short, or no UTF-8). They are the peer's: escape them before they are shown.
 */
export function decodeShutdownCommunication(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0;
  if (length === 0 || length + 1 > data.length) return undefined;
  try {
    return utf8.decode(data.subarray(1, length + 1));
  } catch {
    return undefined;
  }
}
