import type { KernelEvent } from "../kernel.ts";
import { errno, libc } from "../netlink/libc.ts";
import { messagesOf, type NetlinkMessage } from "../netlink/message.ts";
import { poller } from "../netlink/poller.ts";
import { NetlinkSocket, setOption, systemError } from "../netlink/socket.ts";
import { inNetns } from "../netns.ts";
import { addressMessage, readAddress } from "./address-message.ts";
import { linkMessage, readLink } from "./link-message.ts";
import { neighborMessage, readNeighbor } from "./neighbor-message.ts";
import { readRoute, routeMessage } from "./route-message.ts";

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
/** RTNLGRP_: LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE. */
const groups = [1, 3, 5, 7, 9, 11];
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;
const receiveBytes = 1 << 18;

/** Tells of changes in the kernel until `signal` aborts. Lost events are said to be lost. */
export function watchKernel(
  onEvents: (events: readonly KernelEvent[]) => void,
  { signal, netnsFd }: { readonly signal: AbortSignal; readonly netnsFd?: number },
): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const open = () => new NetlinkSocket(0);
  const socket = netnsFd === undefined ? open() : inNetns(netnsFd, open);
  for (const group of groups) setOption(socket.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  const buffer = Buffer.alloc(receiveBytes);
  return new Promise((resolve, reject) => {
    const finish = () => {
      unwatch();
      signal.removeEventListener("abort", finish);
      socket.close();
      resolve();
    };
    const unwatch = poller.watch(socket.fd, () => {
      try {
        const events = drain(socket.fd, buffer);
        if (events.length > 0 && !signal.aborted) onEvents(events);
      } catch (error) {
        finish();
        reject(error);
      }
    });
    signal.addEventListener("abort", finish, { once: true });
  });
}

function drain(fd: number, buffer: Buffer): KernelEvent[] {
  const events: KernelEvent[] = [];
  for (;;) {
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
