import koffi from "koffi";
import { type Clock, systemClock } from "../lib/clock.ts";
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
const EFD_CLOEXEC = 0x80000;
const POLLIN = 1;
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

/** Loaded once, at first use: a process without this monitor needs no libc. */
function loadLibc() {
  const library = koffi.load("libc.so.6");
  return {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, void *, unsigned int)"),
    setsockopt: library.func("int setsockopt(int, int, int, void *, unsigned int)"),
    eventfd: library.func("int eventfd(unsigned int, int)"),
    write: library.func("long write(int, void *, unsigned long)"),
    recv: library.func("long recv(int, void *, unsigned long, int)"),
    poll: library.func("int poll(void *, unsigned long, int)"),
    close: library.func("int close(int)"),
  };
}

/**
 * Listens in the network namespace of the calling thread until `signal` aborts.
 *
 * @throws {Error} when the kernel gives no such socket: it has no nf_tables, or we may not.
 */
export async function monitorNftables(
  options: NftMonitorOptions,
  signal: AbortSignal,
): Promise<void> {
  const libc = loadLibc();
  const fd = openSocket(libc);
  const wake: number = libc.eventfd(0, EFD_CLOEXEC);
  const stop = (): void => {
    libc.write(wake, Buffer.from(new BigUint64Array([1n]).buffer), 8);
  };
  signal.addEventListener("abort", stop, { once: true });
  const batch = new ChangeBatch(options);
  try {
    while (!signal.aborted) {
      await readable(libc, fd, wake);
      if (!signal.aborted) drain(libc, fd, batch);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    batch.cancel();
    libc.close(fd);
    libc.close(wake);
  }
}

type Libc = ReturnType<typeof loadLibc>;

function openSocket(libc: Libc): number {
  const fd: number = libc.socket(
    AF_NETLINK,
    SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
    NETLINK_NETFILTER,
  );
  if (fd < 0) throw new Error(`Cannot watch nf_tables: no netlink socket, errno ${koffi.errno()}`);
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(receiveBufferBytes), 4);
  const address = Buffer.alloc(addressBytes);
  new Uint16Array(address.buffer, address.byteOffset, 1).set([AF_NETLINK]);
  // A socket that is in the group and not bound hears nothing.
  if (
    libc.bind(fd, address, addressBytes) !== 0 ||
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(NFNLGRP_NFTABLES), 4) !== 0
  ) {
    const errno = koffi.errno();
    libc.close(fd);
    throw new Error(`Cannot watch nf_tables: the kernel refuses the group, errno ${errno}`);
  }
  return fd;
}

/** Waits in a thread of the pool, so the event loop goes on. */
function readable(libc: Libc, fd: number, wake: number): Promise<void> {
  // struct pollfd { int fd; short events; short revents; }
  const entries = Buffer.alloc(16);
  new Int32Array(entries.buffer, entries.byteOffset, 4).set([fd, POLLIN, wake, POLLIN]);
  return new Promise((resolve, reject) => {
    libc.poll.async(entries, 2, -1, (error: Error | null) => {
      // `entries` is the kernel's until here.
      if (error === null && entries.length > 0) resolve();
      else reject(error);
    });
  });
}

function drain(libc: Libc, fd: number, batch: ChangeBatch): void {
  const buffer = Buffer.alloc(datagramBytes);
  for (;;) {
    const size = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (size >= 0) {
      batch.add(changedTables(buffer.subarray(0, size)));
      continue;
    }
    const errno = koffi.errno();
    if (errno === ENOBUFS) batch.lose();
    else if (errno === EAGAIN) return;
    else if (errno !== EINTR) throw new Error(`Cannot read nf_tables events: errno ${errno}`);
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
