/** Bytes that tell a UUID's version and variant: they stay. */
const keptBytes = new Set([6, 8]);

/**
 * The UID of the v3 object of a CRD object, and the other way round: the bits of each byte reversed
 * (facts 2.1). Both exist in one cluster, and garbage collection would take equal UIDs for one object.
 * What is no UUID stays as it is.
 */
export function mirroredUid(uid: string): string {
  const hex = uid.replaceAll("-", "");
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) return uid;
  const bytes = Buffer.from(hex, "hex").map((byte, index) =>
    keptBytes.has(index) ? byte : reversedBits(byte),
  );
  const text = Buffer.from(bytes).toString("hex");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function reversedBits(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) result |= ((byte >> bit) & 1) << (7 - bit);
  return result;
}
