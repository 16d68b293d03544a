import { existsSync } from "node:fs";
import { addressesOf } from "./ip/addresses.ts";
import { configureInterfaces } from "./ip/configure.ts";
import { forwardingDatabase } from "./ip/fdb.ts";
import { linksOf } from "./ip/links.ts";
import { watchKernel } from "./ip/monitor.ts";
import { neighborsOf } from "./ip/neighbors.ts";
import { routeTable } from "./ip/routes.ts";
import { routingRules } from "./ip/rules.ts";
import { trafficControl } from "./ip/traffic.ts";
import type { Kernel } from "./kernel.ts";
import { NETLINK_GENERIC } from "./netlink/generic.ts";
import { libc } from "./netlink/libc.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { inNetns } from "./netns.ts";
import { createTap } from "./tap/tap.ts";
import { wireguardDevices } from "./wireguard/wireguard.ts";

const NETLINK_ROUTE = 0;

export interface LinuxKernelOptions {
  readonly netnsFd?: number;
  /** How long an answer may take, asked each time; 0, as without it: as long as it wants. */
  readonly timeoutMs?: () => number;
}

/**
 * The kernel of this process' network namespace, or of another given by an open descriptor. The
 * descriptor may be closed afterwards, if neither `monitor` nor `wireguard` nor `addTap` is used.
 */
export function openLinuxKernel(options: LinuxKernelOptions = {}): Kernel {
  const { netnsFd, timeoutMs } = options;
  const socketOf = () => new NetlinkSocket(NETLINK_ROUTE, { timeoutMs });
  const inside = <Result>(open: () => Result) =>
    netnsFd === undefined ? open() : inNetns(netnsFd, open);
  // Two of our own namespace: in a pod's nobody else waits.
  const [socket, slow] = inside(() => {
    const first = socketOf();
    return [first, netnsFd === undefined ? socketOf() : first] as const;
  });
  const wireguard = wireguardDevices((options) =>
    inside(() => new NetlinkSocket(NETLINK_GENERIC, { ...options, timeoutMs })),
  );
  return {
    routes: routeTable(socket),
    links: { ...linksOf(socket, slow), addTap: async (name) => inside(() => createTap(name)) },
    addresses: addressesOf(socket),
    neighbors: neighborsOf(socket),
    fdb: forwardingDatabase(socket),
    rules: routingRules(socket),
    traffic: trafficControl(socket),
    wireguard,
    indexOf: (name) => inside(() => linkIndex(name)),
    configure: (setup) => configureInterfaces(socket, setup),
    monitor: (onEvents, signal) =>
      watchKernel(onEvents, netnsFd === undefined ? { signal } : { signal, netnsFd }),
    close: () => {
      socket.close();
      slow.close();
      wireguard.close();
    },
  };
}

/** Of the present namespace. For a name that is not there the ioctl would have the kernel look for a module. */
function linkIndex(name: string): number | undefined {
  if (!existsSync(`/proc/sys/net/ipv4/conf/${name}`)) return undefined;
  return libc.if_nametoindex(name) || undefined;
}
