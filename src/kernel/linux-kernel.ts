import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../lib/ip-addr.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { addressMessage, readAddress, writeAddress } from "./ip/address-message.ts";
import {
  linkMessage,
  readLink,
  writeBridge,
  writeLinkChange,
  writeLinkRequest,
  writeVeth,
  writeVxlan,
} from "./ip/link-message.ts";
import { watchKernel } from "./ip/monitor.ts";
import {
  familyBridge,
  neighborMessage,
  readFdbEntry,
  readNeighbor,
  writeFdbEntry,
  writeNeighbor,
  writeNeighborFilter,
} from "./ip/neighbor-message.ts";
import { addressFamilies, readRoute, routeMessage, writeRoute } from "./ip/route-message.ts";
import { readRule, ruleMessage, writeRule } from "./ip/rule-message.ts";
import type {
  Addresses,
  ForwardingDatabase,
  Kernel,
  KernelFailure,
  KernelLink,
  Links,
  Neighbors,
  RouteTable,
  RoutingRules,
} from "./kernel.ts";
import type { MessageWriter } from "./netlink/message.ts";
import { NetlinkError, NetlinkSocket } from "./netlink/socket.ts";
import { inNetns } from "./netns.ts";

const NETLINK_ROUTE = 0;
const flag = { replace: 0x100, exclusive: 0x200, create: 0x400 };
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const ENODEV = 19;
const EADDRNOTAVAIL = 99;

type Fill = (writer: MessageWriter) => void;

/** The kernel of this process' network namespace, or of another given by an open descriptor. */
export function openLinuxKernel(options: { readonly netnsFd?: number } = {}): Kernel {
  const open = () => new NetlinkSocket(NETLINK_ROUTE);
  const { netnsFd } = options;
  const openHere = () => (netnsFd === undefined ? open() : inNetns(netnsFd, open));
  const socket = openHere();
  const removals = new RemovalSocket(openHere);
  return {
    routes: routesOf(socket),
    links: linksOf(socket, removals),
    addresses: addressesOf(socket),
    neighbors: neighborsOf(socket),
    fdb: fdbOf(socket),
    rules: rulesOf(socket),
    monitor: (onEvents, signal) => watchKernel(onEvents, { signal, ...options }),
    close: () => {
      socket.close();
      removals.close();
    },
  };
}

/** Removes links, one after the other, while the event loop goes on. */
class RemovalSocket {
  readonly #open: () => NetlinkSocket;
  readonly #lock = new KeyedLock();
  #socket: NetlinkSocket | undefined;

  constructor(open: () => NetlinkSocket) {
    this.#open = open;
  }

  remove(ifindex: number): Promise<void> {
    return this.#lock.run("", () => {
      this.#socket ??= this.#open();
      const fill: Fill = (writer) => writeLinkRequest(writer, ifindex);
      const request = { type: linkMessage.delete, flags: 0, fill };
      const removed = this.#socket.slowRequest(request, `Cannot remove link ${ifindex}`);
      return removed.catch((error: unknown) => {
        if (!(error instanceof NetlinkError) || error.errno !== ENODEV) throw error;
      });
    });
  }

  close(): void {
    this.#socket?.close();
  }
}

/** Applies one request an entry, and gives back the entries that failed otherwise than by `fine`. */
function applyBatch<Entry>(
  socket: NetlinkSocket,
  entries: readonly Entry[],
  request: {
    readonly type: number;
    readonly flags: number;
    readonly fine: readonly number[];
    fill(writer: MessageWriter, entry: Entry): void;
  },
): KernelFailure<Entry>[] {
  const failures = socket.batch(
    entries.map((entry) => ({
      type: request.type,
      flags: request.flags,
      fill: (writer) => request.fill(writer, entry),
    })),
  );
  return failures.flatMap(({ index, errno, message }) => {
    const entry = entries[index];
    return entry === undefined || request.fine.includes(errno) ? [] : [{ entry, errno, message }];
  });
}

function routesOf(socket: NetlinkSocket): RouteTable {
  return {
    list: async (filter = {}) => {
      const families: IpFamily[] = filter.family === undefined ? [4, 6] : [filter.family];
      return families
        .flatMap((family) => {
          const header = Buffer.alloc(12);
          header[0] = addressFamilies[family];
          return socket.dump(
            { type: routeMessage.get, flags: 0, fill: (writer) => writer.header(header) },
            "Cannot list routes",
            ({ body }) => readRoute(body),
          );
        })
        .filter(
          (route) =>
            (filter.table === undefined || route.table === filter.table) &&
            (filter.protocol === undefined || route.protocol === filter.protocol),
        );
    },
    replace: async (routes) =>
      applyBatch(socket, routes, {
        type: routeMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: (writer, route) => writeRoute(writer, route),
      }),
    remove: async (routes) =>
      applyBatch(socket, routes, {
        type: routeMessage.delete,
        flags: 0,
        fine: [ESRCH, ENOENT, ENODEV],
        fill: (writer, route) => writeRoute(writer, route, true),
      }),
    lookup: async (destination) => lookup(socket, destination),
  };
}

function lookup(socket: NetlinkSocket, destination: IpAddr) {
  const family = ipFamily(destination);
  const header = Buffer.alloc(12);
  header[0] = addressFamilies[family];
  header[1] = family === 4 ? 32 : 128;
  try {
    return socket.query(
      {
        type: routeMessage.get,
        flags: 0,
        fill: (writer) => writer.header(header).attribute(1, ipBytes(destination)),
      },
      `Cannot look up ${destination}`,
      ({ body }) => {
        // The answer is a clone of the route: without that flag it reads as one.
        body.writeUInt32LE(body.readUInt32LE(8) & ~0x200, 8);
        return readRoute(body);
      },
    );
  } catch (error) {
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}

function linksOf(socket: NetlinkSocket, removals: RemovalSocket): Links {
  const create = async (what: string, fill: Fill) =>
    socket.request({ type: linkMessage.new, flags: flag.create | flag.exclusive, fill }, what);
  return {
    list: async () =>
      socket.dump(
        { type: linkMessage.get, flags: 0, fill: (writer) => writeLinkRequest(writer, 0) },
        "Cannot list links",
        ({ body }) => readLink(body),
      ),
    get: async (target) => getLink(socket, target),
    addVeth: (pair) => create(`Cannot add link ${pair.name}`, (writer) => writeVeth(writer, pair)),
    addVxlan: (link) =>
      create(`Cannot add link ${link.name}`, (writer) => writeVxlan(writer, link)),
    addBridge: (name) => create(`Cannot add link ${name}`, (writer) => writeBridge(writer, name)),
    set: async (ifindex, change) =>
      socket.request(
        {
          type: linkMessage.new,
          flags: 0,
          fill: (writer) => writeLinkChange(writer, ifindex, change),
        },
        `Cannot change link ${ifindex}`,
      ),
    remove: (ifindex) => removals.remove(ifindex),
  };
}

function getLink(socket: NetlinkSocket, target: string | number): KernelLink | undefined {
  try {
    return socket.query(
      { type: linkMessage.get, flags: 0, fill: (writer) => writeLinkRequest(writer, target) },
      `Cannot get link ${target}`,
      ({ body }) => readLink(body),
    );
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

async function unless(fine: readonly number[], request: () => void): Promise<void> {
  try {
    request();
  } catch (error) {
    if (!(error instanceof NetlinkError) || !fine.includes(error.errno)) throw error;
  }
}

function addressesOf(socket: NetlinkSocket): Addresses {
  return {
    list: async (filter = {}) => {
      const all = socket.dump(
        { type: addressMessage.get, flags: 0, fill: (writer) => writer.header(Buffer.alloc(8)) },
        "Cannot list addresses",
        ({ body }) => readAddress(body),
      );
      return all.filter(
        ({ ifindex, address }) =>
          (filter.ifindex === undefined || ifindex === filter.ifindex) &&
          (filter.family === undefined || ipFamily(address) === filter.family),
      );
    },
    add: (address) =>
      unless([EEXIST], () =>
        socket.request(
          {
            type: addressMessage.new,
            flags: flag.create | flag.exclusive,
            fill: (writer) => writeAddress(writer, address),
          },
          `Cannot add address ${address.address}/${address.length}`,
        ),
      ),
    remove: (address) =>
      unless([EADDRNOTAVAIL, ENODEV], () =>
        socket.request(
          {
            type: addressMessage.delete,
            flags: 0,
            fill: (writer) => writeAddress(writer, address),
          },
          `Cannot remove address ${address.address}/${address.length}`,
        ),
      ),
  };
}

function neighborsOf(socket: NetlinkSocket): Neighbors {
  return {
    list: async (filter = {}) => {
      const afi = filter.family === undefined ? 0 : addressFamilies[filter.family];
      const all = socket.dump(
        {
          type: neighborMessage.get,
          flags: 0,
          fill: (writer) => writeNeighborFilter(writer, afi, filter.ifindex),
        },
        "Cannot list neighbors",
        ({ body }) => readNeighbor(body),
      );
      return all.filter(
        ({ ifindex }) => filter.ifindex === undefined || ifindex === filter.ifindex,
      );
    },
    replace: async (neighbors) =>
      applyBatch(socket, neighbors, {
        type: neighborMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: writeNeighbor,
      }),
    remove: async (neighbors) =>
      applyBatch(socket, neighbors, {
        type: neighborMessage.delete,
        flags: 0,
        fine: [ENOENT, ENODEV],
        fill: writeNeighbor,
      }),
  };
}

function fdbOf(socket: NetlinkSocket): ForwardingDatabase {
  return {
    list: async (ifindex) =>
      socket
        .dump(
          {
            type: neighborMessage.get,
            flags: 0,
            fill: (writer) => writeNeighborFilter(writer, familyBridge, ifindex),
          },
          "Cannot list the forwarding database",
          ({ body }) => readFdbEntry(body),
        )
        .filter((entry) => entry.ifindex === ifindex),
    replace: async (entries) =>
      applyBatch(socket, entries, {
        type: neighborMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: writeFdbEntry,
      }),
    remove: async (entries) =>
      applyBatch(socket, entries, {
        type: neighborMessage.delete,
        flags: 0,
        fine: [ENOENT, ENODEV],
        fill: writeFdbEntry,
      }),
  };
}

function rulesOf(socket: NetlinkSocket): RoutingRules {
  return {
    list: async (family) => {
      const header = Buffer.alloc(12);
      header[0] = addressFamilies[family];
      return socket.dump(
        { type: ruleMessage.get, flags: 0, fill: (writer) => writer.header(header) },
        "Cannot list routing rules",
        ({ body }) => readRule(body),
      );
    },
    add: async (rule) =>
      unless([EEXIST], () =>
        socket.request(
          {
            type: ruleMessage.new,
            flags: flag.create | flag.exclusive,
            fill: (writer) => writeRule(writer, rule),
          },
          `Cannot add routing rule ${rule.priority}`,
        ),
      ),
    remove: async (rule) =>
      unless([ENOENT], () =>
        socket.request(
          { type: ruleMessage.delete, flags: 0, fill: (writer) => writeRule(writer, rule) },
          `Cannot remove routing rule ${rule.priority}`,
        ),
      ),
  };
}
