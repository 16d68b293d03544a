/** Bytes that tell a UUID's version and variant: they stay. */
const keptBytes = new Set([6, 8]);
const dashesBefore = new Set([4, 6, 8, 10]);

/**
 * The UID of the v3 object of a CRD object, and the other way round: the bits of each byte reversed
 * (facts 2.1). Both exist in one cluster, and garbage collection would take equal UIDs for one object.
 * What is no UUID stays as it is.
 */
export function mirroredUid(uid: string): string {
  const hex = uid.replaceAll("-", "");
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) return uid;
  let text = "";
  for (let index = 0; index < 16; index++) {
    const byte = Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16);
    if (dashesBefore.has(index)) text += "-";
    text += hexOf(keptBytes.has(index) ? byte : reversedBits(byte));
  }
  return text;
}

function reversedBits(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) result |= ((byte >> bit) & 1) << (7 - bit);
  return result;
}

function hexOf(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
