import { type Clock, systemClock } from "../lib/clock.ts";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";
import { poller } from "./netlink/poller.ts";
import { changedTables, type NftTable } from "./nft-monitor-message.ts";

/**
 * Hears of every change to this network namespace's nf_tables, by whoever makes it: the multicast
 * group NFNLGRP_NFTABLES. Our own restores are heard too; a look at the table that finds nothing
 * to do writes nothing, and reading makes no event, so that ends at once.
 */

export interface NftMonitorOptions {
  /**
   * Called with the tables that changed, each once; "lost" when events were lost, so any may have.
   * Not more often than every `debounceMs`.
   */
  readonly onChange: (changed: readonly NftTable[] | "lost") => void;
  /** Default 100. */
  readonly debounceMs?: number;
  readonly clock?: Clock;
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NFNLGRP_NFTABLES = 7;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;

const receiveBufferBytes = 8 * 1024 * 1024;
/** struct sockaddr_nl { u16 family, pad; u32 port, groups }: the kernel chooses the port. */
const addressBytes = 12;
const datagramBytes = 128 * 1024;
/** Each is one table of one family: more than iptables can have. */
const maxRemembered = 64;

/**
 * Listens in the network namespace of the calling thread until `signal` aborts.
 *
 * @throws {NetlinkError} when the kernel gives no such socket: it has no nf_tables, or we may not.
 */
export async function monitorNftables(
  options: NftMonitorOptions,
  signal: AbortSignal,
): Promise<void> {
  const fd = openSocket();
  const batch = new ChangeBatch(options);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const unwatch = poller.watch(fd, () => {
    try {
      if (!signal.aborted) drain(fd, batch);
    } catch (error) {
      reject(error);
    }
  });
  const stop = () => resolve();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) resolve();
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    unwatch();
    batch.cancel();
    libc.close(fd);
  }
}

function openSocket(): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throw systemError("Cannot watch nf_tables: no netlink socket", errno());
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(receiveBufferBytes), 4);
  const address = Buffer.alloc(addressBytes);
  new Uint16Array(address.buffer, address.byteOffset, 1).set([AF_NETLINK]);
  // A socket that is in the group and not bound hears nothing.
  if (
    libc.bind(fd, address, addressBytes) !== 0 ||
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(NFNLGRP_NFTABLES), 4) !== 0
  ) {
    const code = errno();
    libc.close(fd);
    throw systemError("Cannot watch nf_tables: the kernel refuses the group", code);
  }
  return fd;
}

function drain(fd: number, batch: ChangeBatch): void {
  const buffer = Buffer.alloc(datagramBytes);
  for (;;) {
    const size = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (size >= 0) {
      batch.add(changedTables(buffer.subarray(0, size)));
      continue;
    }
    const code = errno();
    if (code === ENOBUFS) batch.lose();
    else if (code === EAGAIN) return;
    else if (code !== EINTR) throw systemError("Cannot read nf_tables events", code);
  }
}

/** Gathers changes until `debounceMs` after the first. */
class ChangeBatch {
  readonly #options: NftMonitorOptions;
  readonly #changed = new Map<string, NftTable>();
  #lost = false;
  #cancel: (() => void) | undefined;

  constructor(options: NftMonitorOptions) {
    this.#options = options;
  }

  add(tables: readonly NftTable[]): void {
    for (const table of tables) this.#changed.set(`${table.family} ${table.table}`, table);
    if (this.#changed.size > maxRemembered) this.lose();
    if (this.#changed.size > 0) this.#schedule();
  }

  lose(): void {
    this.#changed.clear();
    this.#lost = true;
    this.#schedule();
  }

  cancel(): void {
    this.#cancel?.();
  }

  #schedule(): void {
    const { clock = systemClock, debounceMs = 100, onChange } = this.#options;
    this.#cancel ??= clock.setTimer(debounceMs, () => {
      this.#cancel = undefined;
      const changed = this.#lost ? "lost" : [...this.#changed.values()];
      this.#changed.clear();
      this.#lost = false;
      onChange(changed);
    });
  }
}

function int32(value: number): Buffer {
  return Buffer.from(new Int32Array([value]).buffer);
}
