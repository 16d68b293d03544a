import { type IpAddr, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import {
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
  prefixOf,
} from "../../lib/prefix.ts";
import { Secret } from "../../lib/secret.ts";
import { addressFamilies, addressOf, familyOf } from "../ip/route-message.ts";
import type { WireguardDevice, WireguardPeer } from "../kernel.ts";
import { genericAttributes, writeGenericHeader } from "../netlink/generic.ts";
import {
  attributesOf,
  type MessageWriter,
  u16Of,
  u32Of,
  u64Of,
  valuesOf,
} from "../netlink/message.ts";
import { wireguardKeyBytes, wireguardKeyText } from "./wireguard-key.ts";

/** WireGuard devices as messages of generic netlink (linux/wireguard.h). */

export const wireguardFamily = "wireguard";

const version = 1;
const command = { get: 0, set: 1 } as const;
const device = { ifindex: 1, privateKey: 3, publicKey: 4, port: 6, mark: 7, peers: 8 } as const;
const peerAttribute = {
  publicKey: 1,
  presharedKey: 2,
  flags: 3,
  endpoint: 4,
  keepalive: 5,
  lastHandshake: 6,
  received: 7,
  sent: 8,
  allowed: 9,
} as const;
const peerFlag = { removeMe: 1, replaceAllowed: 2 } as const;
const allowedAttribute = { family: 1, address: 2, length: 3 } as const;
const noKey = Buffer.alloc(32);
/** Octets of struct sockaddr_in and sockaddr_in6. */
const sockaddrBytes = { 4: 16, 6: 28 } as const;

/** An attribute is shorter than 64 KiB, and an allowed address takes 40 octets at most. */
export const allowedPerMessage = 1024;

export function writeDeviceRequest(writer: MessageWriter, ifindex: number): void {
  writeGenericHeader(writer, command.get, version);
  writer.u32(device.ifindex, ifindex);
}

export interface DeviceChange {
  readonly privateKey?: Buffer;
  readonly listenPort?: number;
  readonly mark?: number;
}

/** Only the given ones change. */
export function writeDeviceChange(
  writer: MessageWriter,
  ifindex: number,
  { privateKey, listenPort, mark }: DeviceChange,
): void {
  writeGenericHeader(writer, command.set, version);
  writer.u32(device.ifindex, ifindex);
  if (privateKey !== undefined) writer.attribute(device.privateKey, privateKey);
  if (listenPort !== undefined) writer.u16(device.port, listenPort);
  if (mark !== undefined) writer.u32(device.mark, mark);
}

/** All of a peer, with so many of its allowed addresses: what it had before goes. */
export function writePeer(
  writer: MessageWriter,
  ifindex: number,
  peer: WireguardPeer,
  allowed: readonly Prefix[],
): void {
  writeOnePeer(writer, ifindex, peer.publicKey, () => {
    const { presharedKey, endpoint } = peer;
    const key = presharedKey === undefined ? noKey : wireguardKeyBytes(presharedKey.reveal());
    writer.attribute(peerAttribute.presharedKey, key);
    writer.u32(peerAttribute.flags, peerFlag.replaceAllowed);
    if (endpoint !== undefined) {
      writer.attribute(peerAttribute.endpoint, sockaddrOf(endpoint.address, endpoint.port));
    }
    writer.u16(peerAttribute.keepalive, peer.keepaliveSeconds);
    writeAllowed(writer, allowed);
  });
}

/** More allowed addresses of a peer that is there. */
export function writeMoreAllowed(
  writer: MessageWriter,
  ifindex: number,
  publicKey: string,
  allowed: readonly Prefix[],
): void {
  writeOnePeer(writer, ifindex, publicKey, () => writeAllowed(writer, allowed));
}

export function writePeerRemoval(writer: MessageWriter, ifindex: number, publicKey: string): void {
  const flags = () => writer.u32(peerAttribute.flags, peerFlag.removeMe);
  writeOnePeer(writer, ifindex, publicKey, flags);
}

function writeOnePeer(
  writer: MessageWriter,
  ifindex: number,
  publicKey: string,
  fill: () => void,
): void {
  writeGenericHeader(writer, command.set, version);
  writer.u32(device.ifindex, ifindex);
  writer.nest(device.peers, () => {
    writer.nest(0, () => {
      writer.attribute(peerAttribute.publicKey, wireguardKeyBytes(publicKey));
      fill();
    });
  });
}

function writeAllowed(writer: MessageWriter, allowed: readonly Prefix[]): void {
  writer.nest(peerAttribute.allowed, () => {
    for (const prefix of allowed) {
      writer.nest(0, () => {
        writer.u16(allowedAttribute.family, addressFamilies[prefixFamily(prefix)]);
        writer.attribute(allowedAttribute.address, ipBytes(prefixAddress(prefix)));
        writer.u8(allowedAttribute.length, prefixLength(prefix));
      });
    }
  });
}

/** sockaddr_in: family(2) port(2) address(4) zero(8); sockaddr_in6: family(2) port(2) flow(4) address(16) scope(4). */
function sockaddrOf(address: IpAddr, port: number): Buffer {
  const family = ipFamily(address);
  const bytes = Buffer.alloc(sockaddrBytes[family]);
  bytes.writeUInt16LE(addressFamilies[family], 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipBytes(address), family === 4 ? 4 : 8);
  return bytes;
}

function endpointOf(bytes: Buffer | undefined): WireguardPeer["endpoint"] {
  if (bytes === undefined || bytes.length < 2) return undefined;
  const family = familyOf(bytes.readUInt16LE(0));
  if (family === undefined || bytes.length < sockaddrBytes[family]) return undefined;
  const address = addressOf(family === 4 ? bytes.subarray(4, 8) : bytes.subarray(8, 24));
  return address === undefined ? undefined : { address, port: bytes.readUInt16BE(2) };
}

/**
 * A part of a device's listing: one with many peers comes in several messages, and only the first tells
 * more than peers.
 */
export function readDevicePart(body: Buffer): WireguardDevice {
  const attributes = genericAttributes(body);
  const publicKey = wireguardKeyText(attributes.get(device.publicKey));
  const peers = attributes.get(device.peers);
  return {
    ifindex: u32Of(attributes.get(device.ifindex)) ?? 0,
    ...(publicKey === undefined ? {} : { publicKey }),
    listenPort: u16Of(attributes.get(device.port)) ?? 0,
    mark: u32Of(attributes.get(device.mark)) ?? 0,
    peers: peers === undefined ? [] : valuesOf(peers).flatMap((bytes) => readPeer(bytes) ?? []),
  };
}

function readPeer(bytes: Buffer): WireguardPeer | undefined {
  const attributes = attributesOf(bytes);
  const publicKey = wireguardKeyText(attributes.get(peerAttribute.publicKey));
  if (publicKey === undefined) return undefined;
  const presharedKey = wireguardKeyText(attributes.get(peerAttribute.presharedKey));
  const endpoint = endpointOf(attributes.get(peerAttribute.endpoint));
  const allowed = attributes.get(peerAttribute.allowed);
  const handshake = u64Of(attributes.get(peerAttribute.lastHandshake));
  return {
    publicKey,
    ...(presharedKey === undefined ? {} : { presharedKey: new Secret(presharedKey) }),
    ...(endpoint === undefined ? {} : { endpoint }),
    keepaliveSeconds: u16Of(attributes.get(peerAttribute.keepalive)) ?? 0,
    allowed:
      allowed === undefined ? [] : valuesOf(allowed).flatMap((one) => readAllowed(one) ?? []),
    ...(handshake === undefined || handshake === 0 ? {} : { lastHandshake: handshake }),
    receivedBytes: u64Of(attributes.get(peerAttribute.received)) ?? 0,
    sentBytes: u64Of(attributes.get(peerAttribute.sent)) ?? 0,
  };
}

function readAllowed(bytes: Buffer): Prefix | undefined {
  const attributes = attributesOf(bytes);
  const address = addressOf(attributes.get(allowedAttribute.address));
  const length = attributes.get(allowedAttribute.length)?.[0];
  if (address === undefined || length === undefined) return undefined;
  return length > (ipFamily(address) === 4 ? 32 : 128) ? undefined : prefixOf(address, length);
}

/** A peer that has many allowed addresses goes on in the next message, under its key alone. */
export function joinDevice(parts: readonly WireguardDevice[]): WireguardDevice | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const peers = new Map<string, WireguardPeer>();
  for (const peer of parts.flatMap((part) => part.peers)) {
    const before = peers.get(peer.publicKey);
    const joined =
      before === undefined ? peer : { ...before, allowed: [...before.allowed, ...peer.allowed] };
    peers.set(peer.publicKey, joined);
  }
  return { ...first, peers: [...peers.values()] };
}
