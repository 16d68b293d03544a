import { aborted } from "../lib/service.ts";
import { answerType, refusalOf } from "./netlink/answer.ts";
import { errno, libc } from "./netlink/libc.ts";
import { MessageWriter, messagesOf } from "./netlink/message.ts";
import { systemError } from "./netlink/netlink-error.ts";
import { poller } from "./netlink/poller.ts";
import { openNetlink } from "./netlink/socket.ts";
import {
  type NflogPacket,
  nflogMessage,
  nflogPackets,
  writeBind,
  writeGroupOptions,
} from "./nflog-message.ts";

export type { NflogPacket } from "./nflog-message.ts";

const NETLINK_NETFILTER = 12;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;

const datagramBytes = 128 * 1024;
/** Read before the event loop gets its turn; what waits is told of again. */
const datagramsAtOnce = 16;

export interface NflogHandlers {
  onPackets(packets: readonly NflogPacket[]): void;
  /** The kernel told faster than we read: some packets are not known. */
  onLost(): void;
}

/** NFLOG groups of one network namespace, ours until closed. */
export interface NflogGroups {
  /** Until `signal` aborts. Whether it runs or not, `close` must be called. */
  listen(handlers: NflogHandlers, signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Takes the groups in the network namespace of the calling thread.
 *
 * @throws {NetlinkError} when the kernel has no nfnetlink_log, we may not, or another program has one
 *   of the groups (EPERM).
 */
export function openNflog(groups: readonly number[]): NflogGroups {
  const fd = openNetlink(NETLINK_NETFILTER);
  const close = () => {
    libc.close(fd);
  };
  try {
    for (const group of groups) {
      const what = `Cannot listen to NFLOG group ${group}`;
      configure(fd, what, (writer) => writeBind(writer, group));
      configure(fd, what, (writer) => writeGroupOptions(writer, group));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { listen: (handlers, signal) => listen(fd, handlers, signal), close };
}

/** The kernel has answered when send returns. */
function configure(fd: number, what: string, fill: (writer: MessageWriter) => void): void {
  const writer = new MessageWriter();
  writer.begin(nflogMessage.config, NLM_F_REQUEST | NLM_F_ACK, 1);
  fill(writer);
  const bytes = writer.end().bytes();
  if (Number(libc.send(fd, bytes, bytes.length, 0)) < 0) throw systemError(what, errno());
  const buffer = Buffer.alloc(datagramBytes);
  for (;;) {
    const size = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (size < 0) {
      const code = errno();
      if (code === EINTR || code === ENOBUFS) continue;
      throw systemError(what, code);
    }
    // Packets of groups that are ours already may come between.
    for (const message of messagesOf(buffer.subarray(0, size))) {
      if (message.type !== answerType.error) continue;
      const refusal = refusalOf(message);
      if (refusal === undefined) return;
      throw systemError(what, refusal.errno, refusal.message);
    }
  }
}

async function listen(fd: number, handlers: NflogHandlers, signal: AbortSignal): Promise<void> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const unwatch = poller.watch(fd, () => {
    try {
      if (!signal.aborted) drain(fd, handlers);
    } catch (error) {
      reject(error);
    }
  });
  try {
    await Promise.race([aborted(signal), failed]);
  } finally {
    unwatch();
  }
}

function drain(fd: number, handlers: NflogHandlers): void {
  const buffer = Buffer.alloc(datagramBytes);
  for (let count = 0; count < datagramsAtOnce; count++) {
    const size = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (size >= 0) {
      handlers.onPackets(nflogPackets(buffer.subarray(0, size)));
      continue;
    }
    const code = errno();
    if (code === ENOBUFS) handlers.onLost();
    else if (code === EAGAIN) return;
    else if (code !== EINTR) throw systemError("Cannot read NFLOG packets", code);
  }
}
