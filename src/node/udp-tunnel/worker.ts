import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from "node:worker_threads";
import { libc } from "../../kernel/netlink/libc.ts";
import { udpDevice } from "../../kernel/ownership.ts";
import { openTunnelSocket, PacketCopier } from "../../kernel/tap/packet-copier.ts";
import { openTap } from "../../kernel/tap/tap.ts";
import { invariant } from "../../lib/brand.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";

/** The thread that copies packets, and does nothing else: it waits in the kernel, not in an event loop. */

export interface TunnelWorkerData {
  readonly ownNode: IpAddr;
  readonly port: number;
  /** An eventfd: written to when there is a message. */
  readonly wake: number;
}

export type ToTunnelWorker =
  | { readonly kind: "peers"; readonly peers: readonly IpAddr[] }
  | { readonly kind: "stop" };

/** Packets that were copied, when the thread ends on request. */
export type FromTunnelWorker = PacketCopier["counts"];

if (parentPort !== null) copyPackets();

function copyPackets(): void {
  const port = parentPort;
  invariant(port !== null, "this file is run as a worker");
  const { ownNode, port: udpPort, wake } = workerData as TunnelWorkerData;
  const udp = openTunnelSocket(ownNode, udpPort);
  const opened = [udp];
  try {
    const tap = openTap(udpDevice);
    opened.push(tap);
    const copier = new PacketCopier({ tap, udp, wake, ownNode, port: udpPort });
    do copier.run();
    while (obey(port, copier) !== "stop");
    port.postMessage(copier.counts satisfies FromTunnelWorker);
    port.close();
  } finally {
    // Descriptors are the process', not the thread's.
    for (const fd of opened) libc.close(fd);
  }
}

/** Does what the main thread has said. */
function obey(port: MessagePort, copier: PacketCopier): "stop" | "go on" {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return "go on";
    const message = received.message as ToTunnelWorker;
    if (message.kind === "stop") return "stop";
    copier.peers = message.peers;
  }
}
