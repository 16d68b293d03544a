import type { KernelEvent } from "../kernel.ts";
import { errno, libc } from "../netlink/libc.ts";
import { messagesOf, type NetlinkMessage } from "../netlink/message.ts";
import { systemError } from "../netlink/netlink-error.ts";
import { poller } from "../netlink/poller.ts";
import { openNetlink, setOption } from "../netlink/socket.ts";
import { inNetns } from "../netns.ts";
import { addressMessage, readAddress } from "./address-message.ts";
import { linkMessage, readLink } from "./link-message.ts";
import { neighborMessage, readFdbEntry, readNeighbor } from "./neighbor-message.ts";
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
  const queue = new EventQueue(fd);
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      unwatch();
      signal.removeEventListener("abort", stop);
      act();
    };
    const stop = () => settle(resolve);
    const unwatch = poller.watch(fd, () => {
      try {
        const events = queue.take();
        if (events.length > 0) onEvents(events);
      } catch (error) {
        settle(() => reject(error));
      }
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * What one socket has to tell. Once events were lost (ENOBUFS), the kernel drops all further ones
 * without a word until the queue is read to its end: only then is a list that is made upon "lost"
 * complete, so it is said then, and what is still in the queue goes unread.
 */
class EventQueue {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(receiveBytes);
  #lost = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The events of one turn, none when nothing happened. */
  take(): KernelEvent[] {
    const events: KernelEvent[] = [];
    for (let datagrams = 0; datagrams < datagramsPerTurn; datagrams++) {
      const got = Number(libc.recv(this.#fd, this.#buffer, receiveBytes, MSG_DONTWAIT));
      const code = got < 0 ? errno() : 0;
      if (code === EAGAIN) return this.#atEnd(events);
      if (code === ENOBUFS) this.#lost = true;
      else if (code !== 0 && code !== EINTR) {
        throw systemError("Cannot hear of changes in the kernel", code);
      }
      if (got > 0 && !this.#lost) events.push(...eventsOf(this.#buffer.subarray(0, got)));
    }
    return events;
  }

  #atEnd(events: KernelEvent[]): KernelEvent[] {
    if (this.#lost) events.push({ kind: "lost" });
    this.#lost = false;
    return events;
  }
}

function eventsOf(datagram: Buffer): KernelEvent[] {
  return [...messagesOf(datagram)].map(eventOf).filter((event) => event !== undefined);
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
    if (neighbor) return { kind: "neighbor", op: op(neighborMessage.delete), neighbor };
    const entry = readFdbEntry(body);
    return entry && { kind: "fdb", op: op(neighborMessage.delete), entry };
  }
  return undefined;
}
