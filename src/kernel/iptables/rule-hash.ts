import { createHash } from "node:crypto";

/** Length of a rule hash: 96 bits in base64url. */
export const ruleHashLength = 16;

/**
 * Hashes of the rules of one chain (facts 4.5, 4.17): h(0) = SHA-224(chain name), h(i) =
 * SHA-224(h(i-1) and the text of rule i), each shown as 16 characters. So a hash stands for its
 * rule and for all before it, and equal last hashes and lengths mean equal chains.
 *
 * `texts` are whole rules, "-A chain HASH ...".
 */
export function ruleHashes(chain: string, texts: readonly string[]): string[] {
  let previous = createHash("sha224").update(chain).digest();
  return texts.map((text) => {
    previous = createHash("sha224").update(previous).update(text).digest();
    return previous.toString("base64url").slice(0, ruleHashLength);
  });
}
