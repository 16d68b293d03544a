/**
 * BGP messages of the load clients as bytes, written once before a row starts. Written apart from
 * src/bgp/wire on purpose: a mistake there must not be hidden by the same mistake here.
 */

const messageType = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;

export const headerLength = 19;

export function message(type: keyof typeof messageType, body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(headerLength + body.length);
  bytes.fill(0xff, 0, 16);
  bytes[16] = bytes.length >>> 8;
  bytes[17] = bytes.length & 0xff;
  bytes[18] = messageType[type];
  bytes.set(body, headerLength);
  return bytes;
}

export const keepalive: Uint8Array = message("keepalive", []);

/** ROUTE-REFRESH for IPv4 unicast (RFC 2918). */
export const refreshRequest: Uint8Array = message("routeRefresh", [0, 1, 0, 1]);

/** OPEN with multiprotocol IPv4, 4-octet AS and route refresh: what every target speaks. */
export function openMessage(asn: number, holdSeconds: number, routerId: number): Uint8Array {
  const capabilities = [1, 4, 0, 1, 0, 1, 2, 0, 65, 4, ...u32(asn)];
  const parameters = [2, capabilities.length, ...capabilities];
  return message("open", [
    4,
    ...u16(asn > 0xffff ? 23456 : asn),
    ...u16(holdSeconds),
    ...u32(routerId),
    parameters.length,
    ...parameters,
  ]);
}

export interface RouteAttributes {
  readonly asPath: readonly number[];
  readonly nextHop: number;
  readonly med?: number;
  readonly communities?: readonly number[];
}

export function announcement(
  { asPath, nextHop, med, communities = [] }: RouteAttributes,
  nlri: readonly number[],
): Uint8Array {
  const path = asPath.length === 0 ? [] : [2, asPath.length, ...asPath.flatMap(u32)];
  const attributes = [
    ...[0x40, 1, 1, 0],
    ...[0x40, 2, path.length, ...path],
    ...[0x40, 3, 4, ...u32(nextHop)],
    ...(med === undefined ? [] : [0x80, 4, 4, ...u32(med)]),
    ...[0x40, 5, 4, ...u32(100)],
    ...(communities.length === 0
      ? []
      : [0xc0, 8, communities.length * 4, ...communities.flatMap(u32)]),
  ];
  return message("update", [0, 0, ...u16(attributes.length), ...attributes, ...nlri]);
}

export function withdrawal(nlri: readonly number[]): Uint8Array {
  return message("update", [...u16(nlri.length), ...nlri, 0, 0]);
}

/** One prefix in the form of RFC 4271 section 4.3. */
export function nlriOf(address: number, length: number): number[] {
  return [length, ...u32(address).slice(0, (length + 7) >>> 3)];
}

export function u16(value: number): number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}

export function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
