import { BatchQueue } from "../../lib/batch-queue.ts";
import { KeyedLock } from "../../lib/keyed-lock.ts";
import type { KernelLink, Links, VethPair } from "../kernel.ts";
import type { MessageWriter } from "../netlink/message.ts";
import { isErrno, systemError } from "../netlink/netlink-error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { offloadsChecksum, setChecksumOffload } from "./ethtool.ts";
import {
  linkMessage,
  readLink,
  writeBridge,
  writeIfb,
  writeIp6Tunnel,
  writeIpip,
  writeLinkChange,
  writeLinkRequest,
  writeSit,
  writeVeth,
  writeVxlan,
  writeWireguard,
} from "./link-message.ts";
import { errnos, flag, unless } from "./requests.ts";

const maxVeths = 64;

/**
 * The links of a socket's network namespace. `slow` is another socket of the same namespace: what
 * waits there for a link's removal does not hold up the rest.
 */
export function linksOf(socket: NetlinkSocket, slow: NetlinkSocket): Omit<Links, "addTap"> {
  const create = (name: string, fill: (writer: MessageWriter) => void) =>
    slow.request(
      { type: linkMessage.new, flags: flag.create | flag.exclusive, fill },
      `Cannot add link ${name}`,
    );
  const veths = new BatchQueue<VethPair, void>(
    { limit: maxVeths, mayJoin: () => true, work: (_, pairs) => addVeths(slow, pairs) },
    new KeyedLock(),
  );
  return {
    list: () =>
      socket.dump(
        { type: linkMessage.get, flags: 0, fill: (writer) => writeLinkRequest(writer, 0) },
        "Cannot list links",
        ({ body }) => readLink(body),
      ),
    get: (target) => getLink(socket, target),
    addVeth: (pair) => veths.run("", pair),
    addVxlan: (link) => create(link.name, (writer) => writeVxlan(writer, link)),
    addIpip: (name) =>
      unless(
        [errnos.EEXIST],
        create(name, (writer) => writeIpip(writer, name)),
      ),
    addIp6Tunnel: (name, mtu) => create(name, (writer) => writeIp6Tunnel(writer, name, mtu)),
    addSit: (name, link) => create(name, (writer) => writeSit(writer, name, link)),
    addIfb: (name, mtu) => create(name, (writer) => writeIfb(writer, name, mtu)),
    addWireguard: (name, mtu) => create(name, (writer) => writeWireguard(writer, name, mtu)),
    addBridge: (name) => create(name, (writer) => writeBridge(writer, name)),
    set: (ifindex, change) => {
      const fill = (writer: MessageWriter) => writeLinkChange(writer, ifindex, change);
      return slow.request(
        { type: linkMessage.new, flags: 0, fill },
        `Cannot change link ${ifindex}`,
      );
    },
    offloadsChecksum: (name) => offloadsChecksum(socket, name),
    setChecksumOffload: (name, on) => setChecksumOffload(slow, name, on),
    remove: (ifindex) => {
      const fill = (writer: MessageWriter) => writeLinkRequest(writer, ifindex);
      const request = { type: linkMessage.delete, flags: 0, fill };
      return unless([errnos.ENODEV], slow.request(request, `Cannot remove link ${ifindex}`));
    },
  };
}

/** Pods that come at once: one send for all that wait, not a turn in the kernel's queue for each. */
async function addVeths(
  socket: NetlinkSocket,
  pairs: readonly VethPair[],
): Promise<PromiseSettledResult<void>[]> {
  const failures = await socket.batch(
    pairs.map((pair) => ({
      type: linkMessage.new,
      flags: flag.create | flag.exclusive,
      fill: (writer) => writeVeth(writer, pair),
    })),
  );
  return pairs.map(({ name }, at) => {
    const failure = failures.find(({ index }) => index === at);
    if (failure === undefined) return { status: "fulfilled", value: undefined };
    const { errno, message } = failure;
    return { status: "rejected", reason: systemError(`Cannot add link ${name}`, errno, message) };
  });
}

async function getLink(
  socket: NetlinkSocket,
  target: string | number,
): Promise<KernelLink | undefined> {
  try {
    return await socket.query(
      { type: linkMessage.get, flags: 0, fill: (writer) => writeLinkRequest(writer, target) },
      `Cannot get link ${target}`,
      ({ body }) => readLink(body),
    );
  } catch (error) {
    if (isErrno(error, errnos.ENODEV)) return undefined;
    throw error;
  }
}
