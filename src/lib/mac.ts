import type { Brand } from "./brand.ts";

/** Canonical MAC address: "66:3e:ca:a4:db:65". Safe as a Map key. */
export type MacAddr = Brand<string, "MacAddr">;

const multicast = 1;
const locallyAdministered = 2;

/** @throws {SyntaxError} when `text` is not six octets in hexadecimal with colons. */
export function parseMac(text: string): MacAddr {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new SyntaxError(`Cannot parse MAC address "${text}"`);
  }
  return text.toLowerCase() as MacAddr;
}

/** A MAC address of one interface that nobody registered, from six random octets (IEEE 802, 8.2). */
export function localMac(random: Uint8Array): MacAddr {
  const [first = 0, ...rest] = random;
  return macFromBytes(Uint8Array.of((first & ~multicast) | locallyAdministered, ...rest));
}

export function macBytes(mac: MacAddr): Uint8Array {
  return Uint8Array.from(mac.split(":"), (octet) => Number.parseInt(octet, 16));
}

/** @throws {RangeError} when there are not six octets. */
export function macFromBytes(bytes: Uint8Array): MacAddr {
  if (bytes.length !== 6)
    throw new RangeError(`Cannot make a MAC address of ${bytes.length} octets`);
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(":") as MacAddr;
}
