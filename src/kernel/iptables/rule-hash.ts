import { hash } from "node:crypto";

/** Octets of SHA-224. */
const digestBytes = 28;

/** Length of a rule hash: 96 bits in base64url. */
export const ruleHashLength = 16;

/**
 * Hashes of the rules of one chain (facts 4.5, 4.17): h(0) = SHA-224(chain name), h(i) =
 * SHA-224(h(i-1) and the text of rule i), each shown as 16 characters. So a hash stands for its
 * rule and for all before it, and equal last hashes and lengths mean equal chains.
 *
 * `texts` are whole rules, "-A chain HASH ...". Hot: a hash at one go takes two thirds of the time of
 * createHash, and a copy into one buffer less than joining two.
 *
 * `separate`: every rule is hashed as the first would be. Then the list of hashes stands for the chain, and
 * a rule may come between others. Calico has no such chains; one that takes over writes them once.
 */
export function ruleHashes(chain: string, texts: readonly string[], separate = false): string[] {
  const longest = texts.reduce((length, text) => Math.max(length, text.length), 0);
  // Of UTF-16 a unit is three octets of UTF-8 at most.
  const bytes = Buffer.allocUnsafe(digestBytes + 3 * longest);
  let previous = hash("sha224", chain, "base64url");
  return texts.map((text) => {
    bytes.write(previous, "base64url");
    const length = digestBytes + bytes.write(text, digestBytes);
    const own = hash("sha224", bytes.subarray(0, length), "base64url");
    if (!separate) previous = own;
    return own.slice(0, ruleHashLength);
  });
}
