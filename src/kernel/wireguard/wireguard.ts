import { errnos } from "../ip/requests.ts";
import type { KernelFailure, WireguardDevices, WireguardPeer } from "../kernel.ts";
import { genericFamily } from "../netlink/generic.ts";
import type { MessageWriter } from "../netlink/message.ts";
import { systemError } from "../netlink/netlink-error.ts";
import type { NetlinkSocket, Request, SocketOptions } from "../netlink/socket.ts";
import { newPrivateKey } from "./wireguard-key.ts";
import {
  allowedPerMessage,
  type DeviceChange,
  joinDevice,
  readDevicePart,
  wireguardFamily,
  writeDeviceChange,
  writeDeviceRequest,
  writeMoreAllowed,
  writePeer,
  writePeerRemoval,
} from "./wireguard-message.ts";

const EOPNOTSUPP = 95;

/**
 * The WireGuard devices of a network namespace. `open` gives a socket of generic netlink: only what
 * has WireGuard asks for one.
 */
export function wireguardDevices(
  open: (options: Pick<SocketOptions, "hasSecrets">) => NetlinkSocket,
): WireguardDevices & { close(): void } {
  let socket: NetlinkSocket | undefined;
  let type: number | undefined;
  const family = async () => {
    // The kernel tells a device's private key too.
    socket ??= open({ hasSecrets: true });
    type ??= await genericFamily(socket, wireguardFamily);
    if (type === undefined) throw systemError("Cannot use WireGuard", EOPNOTSUPP);
    return { socket, type };
  };
  const change = async (ifindex: number, wanted: DeviceChange) => {
    const { socket, type } = await family();
    await socket.request(
      { type, flags: 0, fill: (writer) => writeDeviceChange(writer, ifindex, wanted) },
      `Cannot change WireGuard device ${ifindex}`,
    );
  };
  return {
    get: async (ifindex) => {
      const { socket, type } = await family();
      const parts = await socket.dump(
        {
          type,
          flags: 0,
          fill: (writer) => writeDeviceRequest(writer, ifindex),
        },
        `Cannot read WireGuard device ${ifindex}`,
        ({ body }) => readDevicePart(body),
      );
      return joinDevice(parts);
    },
    set: change,
    renewKey: async (ifindex) => {
      const privateKey = newPrivateKey();
      try {
        await change(ifindex, { privateKey });
      } finally {
        privateKey.fill(0);
      }
    },
    setPeers: async (ifindex, peers) => {
      const { socket, type } = await family();
      const requests = peers.flatMap((peer) =>
        requestsOf(type, ifindex, peer).map((request) => ({ peer, request })),
      );
      const failures = await socket.batch(requests.map(({ request }) => request));
      return failures.flatMap(({ index, errno, message }) => {
        const entry = requests[index]?.peer;
        return entry === undefined ? [] : [{ entry, errno, message }];
      });
    },
    removePeers: async (ifindex, peers) => {
      const { socket, type } = await family();
      const failures = await socket.batch(
        peers.map(({ publicKey }) => ({
          type,
          flags: 0,
          fill: (writer) => writePeerRemoval(writer, ifindex, publicKey),
        })),
      );
      return failures.flatMap(({ index, errno, message }): KernelFailure<WireguardPeer>[] => {
        const entry = peers[index];
        return entry === undefined || errno === errnos.ENODEV ? [] : [{ entry, errno, message }];
      });
    },
    close: () => socket?.close(),
  };
}

function requestsOf(type: number, ifindex: number, peer: WireguardPeer): Request[] {
  const { publicKey, allowed } = peer;
  const requests: Request[] = [];
  for (let start = 0; start === 0 || start < allowed.length; start += allowedPerMessage) {
    const some = allowed.slice(start, start + allowedPerMessage);
    const fill =
      start === 0
        ? (writer: MessageWriter) => writePeer(writer, ifindex, peer, some)
        : (writer: MessageWriter) => writeMoreAllowed(writer, ifindex, publicKey, some);
    requests.push({ type, flags: 0, fill });
  }
  return requests;
}
