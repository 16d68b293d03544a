import type { KernelEvent } from "../kernel.ts";
import { errno, libc } from "../netlink/libc.ts";
import { messagesOf, type NetlinkMessage } from "../netlink/message.ts";
import { systemError } from "../netlink/netlink-error.ts";
import { poller } from "../netlink/poller.ts";
import { openNetlink, setOption } from "../netlink/socket.ts";
import { inNetns } from "../netns.ts";
import { addressMessage, readAddress } from "./address-message.ts";
import { linkMessage, readLink } from "./link-message.ts";
import { neighborMessage, readNeighbor } from "./neighbor-message.ts";
import { readRoute, routeMessage } from "./route-message.ts";

const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
/** RTNLGRP_: LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE. */
const groups = [1, 3, 5, 7, 9, 11];
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;
const receiveBytes = 1 << 18;
/** Datagrams read before the events are given on and the event loop gets its turn. */
const datagramsPerTurn = 512;

/**
 * Tells of changes in the kernel until `signal` aborts. Lost events are said to be lost. The kernel
 * is silent about the IPv4 routes that go with a link: the link's event stands for them.
 *
 * @throws {NetlinkError} when the kernel gives no events.
 */
export async function watchKernel(
  onEvents: (events: readonly KernelEvent[]) => void,
  { signal, netnsFd }: { readonly signal: AbortSignal; readonly netnsFd?: number },
): Promise<void> {
  if (signal.aborted) return;
  const open = () => openNetlink(NETLINK_ROUTE);
  const fd = netnsFd === undefined ? open() : inNetns(netnsFd, open);
  try {
    for (const group of groups) {
      if (!setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)) {
        throw systemError(`Cannot join netlink group ${group}`, errno());
      }
    }
    await deliver(fd, onEvents, signal);
  } finally {
    libc.close(fd);
  }
}

function deliver(
  fd: number,
  onEvents: (events: readonly KernelEvent[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.alloc(receiveBytes);
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      unwatch();
      signal.removeEventListener("abort", stop);
      act();
    };
    const stop = () => settle(resolve);
    const unwatch = poller.watch(fd, () => {
      try {
        const events = drain(fd, buffer);
        if (events.length > 0) onEvents(events);
      } catch (error) {
        settle(() => reject(error));
      }
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

function drain(fd: number, buffer: Buffer): KernelEvent[] {
  const events: KernelEvent[] = [];
  for (let datagrams = 0; datagrams < datagramsPerTurn; datagrams++) {
    const got = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (got >= 0) {
      for (const message of messagesOf(buffer.subarray(0, got))) {
        const event = eventOf(message);
        if (event !== undefined) events.push(event);
      }
      continue;
    }
    const code = errno();
    if (code === EAGAIN) return events;
    if (code === ENOBUFS) events.push({ kind: "lost" });
    else if (code !== EINTR) throw systemError("Cannot hear of changes in the kernel", code);
  }
  return events;
}

function eventOf({ type, body }: NetlinkMessage): KernelEvent | undefined {
  const op = (removed: number) => (type === removed ? "removed" : "set");
  if (type === linkMessage.new || type === linkMessage.delete) {
    const link = readLink(body);
    return link && { kind: "link", op: op(linkMessage.delete), link };
  }
  if (type === addressMessage.new || type === addressMessage.delete) {
    const address = readAddress(body);
    return address && { kind: "address", op: op(addressMessage.delete), address };
  }
  if (type === routeMessage.new || type === routeMessage.delete) {
    const route = readRoute(body);
    return route && { kind: "route", op: op(routeMessage.delete), route };
  }
  if (type === neighborMessage.new || type === neighborMessage.delete) {
    const neighbor = readNeighbor(body);
    return neighbor && { kind: "neighbor", op: op(neighborMessage.delete), neighbor };
  }
  return undefined;
}
