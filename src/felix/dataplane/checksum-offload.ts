/** Up to this one the kernel gets checksums of encapsulated packets wrong that it leaves to the card. */
const lastBroken = [5, 7, 0] as const;

/**
 * Whether tunnel devices must compute checksums themselves (facts D 50): as somebody said, else by the
 * kernel's release, "6.1.0-18-amd64".
 */
export function isChecksumOffloadBroken(said: boolean | undefined, release: string): boolean {
  if (said !== undefined) return said;
  const [, ...parts] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? [];
  if (parts.length === 0) return false;
  for (const [i, limit] of lastBroken.entries()) {
    const part = Number(parts[i] ?? 0);
    if (part !== limit) return part < limit;
  }
  return true;
}
