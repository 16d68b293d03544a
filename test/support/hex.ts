/** Octets of hexadecimal text with any white space. */
export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Marker, length and type before the body of a BGP message in hexadecimal. */
export function withHeader(type: number, body: string): Uint8Array {
  const octets = fromHex(body);
  const bytes = new Uint8Array(19 + octets.length).fill(0xff, 0, 16);
  bytes.set([bytes.length >> 8, bytes.length & 255, type], 16);
  bytes.set(octets, 19);
  return bytes;
}
