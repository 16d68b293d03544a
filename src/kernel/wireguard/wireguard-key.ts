import { randomBytes } from "node:crypto";

/** Keys of WireGuard: 32 octets, shown as base64 like wg(8) does. */

const keyBytes = 32;
/** 32 octets are 43 digits and one of padding; the last digit's two low bits are zero. */
const keyPattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** False for all zeros too: that is what "no key" looks like (facts 4.21). */
export function isWireguardKey(text: string): boolean {
  return keyPattern.test(text) && !isZero(Buffer.from(text, "base64"));
}

/** The octets of a key for which `isWireguardKey` holds. */
export function wireguardKeyBytes(key: string): Buffer {
  return Buffer.from(key, "base64");
}

/** Undefined for what is no key, or all zeros. */
export function wireguardKeyText(bytes: Buffer | undefined): string | undefined {
  if (bytes?.length !== keyBytes || isZero(bytes)) return undefined;
  return bytes.toString("base64");
}

/** The kernel makes it a number of Curve25519. */
export function newPrivateKey(): Buffer {
  return randomBytes(keyBytes);
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((octet) => octet === 0);
}
