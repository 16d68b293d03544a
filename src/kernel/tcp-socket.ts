import { type OnReadOpts, Socket } from "node:net";
import { constants } from "node:os";
import { systemClock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily, ipFromBytes } from "../lib/ip-addr.ts";
import { hostPrefix, type Prefix, prefixHasAddress } from "../lib/prefix.ts";
import type { Secret } from "../lib/secret.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";
import { poller } from "./netlink/poller.ts";
import {
  limitHops,
  removeMd5Key,
  saveSyn,
  setMaxTtl,
  setMd5Key,
  socketAddress,
  synHops,
} from "./tcp-options.ts";

/**
 * TCP sockets with the options of tcp-options.ts. Node tells no descriptor, so the sockets that need
 * one are opened here and given to Node, which does all the rest.
 */

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** All nodes of a cluster may come up at once. The kernel takes net.core.somaxconn of it. */
const backlog = 4096;
/** How long connections are taken in one turn: a burst must not keep the timers waiting. */
const acceptMs = 5;
const descriptorShortageMs = 100;
const { EMFILE, ENFILE, ENOBUFS, ENOMEM } = constants.errno;

export interface TcpTarget {
  readonly address: IpAddr;
  readonly port: number;
  /** Absent: the kernel chooses. */
  readonly localAddress?: IpAddr;
  /** Interface of a link-local `address`. */
  readonly zone?: string;
  /** TCP-MD5 key (RFC 2385). */
  readonly password?: Secret;
  /** GTSM (RFC 5082). */
  readonly ttlSecurityHops?: number;
}

/** A socket of Node whose descriptor is known. */
export class TcpSocket {
  readonly socket: Socket;
  readonly #fd: number;

  constructor(fd: number, onread: OnReadOpts) {
    this.#fd = fd;
    this.socket = new Socket({ fd, readable: true, writable: true, onread });
  }

  /**
   * Octets that the kernel takes at once; 0 as well for an error, which the next write of `socket` will
   * have. Only while nothing is queued there. It is 4 us a call, against 8 us of `socket.write()`.
   */
  sendNow(bytes: Uint8Array): number {
    // Once destroyed, its descriptor may be that of another.
    if (this.socket.destroyed || bytes.length === 0) return 0;
    return Math.max(0, libc.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}

/**
 * Opens a connection. The options are set before the first packet goes out. `onread` takes what is
 * read, in place of events.
 *
 * @throws {Error} when one cannot be set; there is no connection then.
 */
export function connectTcp(target: TcpTarget, onread: OnReadOpts): TcpSocket {
  const { address, port, localAddress, zone, password, ttlSecurityHops } = target;
  const family = ipFamily(address);
  const scoped = (each: IpAddr) =>
    zone === undefined || !isLinkLocal(each) ? each : `${each}%${zone}`;
  const local = localAddress === undefined ? {} : { localAddress: scoped(localAddress) };
  const fd = openSocket(family);
  try {
    // A peer with GTSM would drop all that we send, our end of the connection too, and keep its own.
    setMaxTtl(fd, family);
    if (password !== undefined) setMd5Key(fd, hostPrefix(address), password);
    if (ttlSecurityHops !== undefined) limitHops(fd, family, ttlSecurityHops);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  const tcp = new TcpSocket(fd, onread);
  // Node connects the handle that a socket has, if it has one.
  tcp.socket.connect({ host: scoped(address), port, ...local });
  return tcp;
}

/** One connection of a listener. */
export class AcceptedTcp {
  readonly remoteAddress: IpAddr;
  readonly #fd: number;

  constructor(fd: number, remoteAddress: IpAddr) {
    this.#fd = fd;
    this.remoteAddress = remoteAddress;
  }

  /**
   * GTSM: false when the other end is further away than `hops`; else nothing from further away gets
   * in from now on. In the turn of its arrival only.
   */
  limitHops(hops: number): boolean {
    const family = ipFamily(this.remoteAddress);
    limitHops(this.#fd, family, hops);
    return (synHops(this.#fd, family) ?? 1) <= hops;
  }

  close(): void {
    libc.close(this.#fd);
  }

  /** To be called at most once, and no close() after it: the descriptor is the socket's then. */
  toSocket(onread: OnReadOpts): TcpSocket {
    return new TcpSocket(this.#fd, onread);
  }
}

/** Listens until `close`. */
export class TcpListener {
  readonly #fd: number;
  readonly #family: IpFamily;
  readonly #accepted: (connection: AcceptedTcp) => void;
  /** Fingerprints of the keys that the kernel has. */
  readonly #keys = new Map<Prefix, string>();
  #unwatch: () => void = () => undefined;
  #isClosed = false;

  /** @throws {NetlinkError} when the address is not there or its port is taken. */
  constructor(
    { address, port }: { readonly address: IpAddr; readonly port: number },
    accepted: (connection: AcceptedTcp) => void,
  ) {
    this.#family = ipFamily(address);
    this.#accepted = accepted;
    this.#fd = openSocket(this.#family);
    try {
      const one = Buffer.from([1, 0, 0, 0]);
      libc.setsockopt(this.#fd, SOL_SOCKET, SO_REUSEADDR, one, one.length);
      if (this.#family === 6) libc.setsockopt(this.#fd, SOL_IPV6, IPV6_V6ONLY, one, one.length);
      // The answer to a SYN has the listener's TTL, and a peer with GTSM looks at it.
      setMaxTtl(this.#fd, this.#family);
      saveSyn(this.#fd);
      const bytes = socketAddress(address, port);
      if (libc.bind(this.#fd, bytes, bytes.length) < 0) throw systemError("Cannot bind", errno());
      if (libc.listen(this.#fd, backlog) < 0) throw systemError("Cannot listen", errno());
    } catch (error) {
      libc.close(this.#fd);
      throw error;
    }
    this.#watch();
  }

  get port(): number {
    const [bytes, length] = [Buffer.alloc(28), Buffer.alloc(4)];
    length.writeUInt32LE(bytes.length);
    if (libc.getsockname(this.#fd, bytes, length) < 0) throw systemError("No port", errno());
    return bytes.readUInt16BE(2);
  }

  /**
   * From now on these are the TCP-MD5 keys, exactly. Gives the prefixes whose key cannot be set, and
   * why: who comes from there must be refused. Waiting connections from where a key has changed are
   * closed, as the kernel has not asked them for it.
   */
  setKeys(keys: ReadonlyMap<Prefix, Secret>): ReadonlyMap<Prefix, string> {
    const failed = new Map<Prefix, string>();
    const changed: Prefix[] = [];
    for (const prefix of this.#keys.keys()) {
      if (keys.has(prefix)) continue;
      removeMd5Key(this.#fd, prefix);
      this.#keys.delete(prefix);
    }
    for (const [prefix, password] of keys) {
      if (this.#keys.get(prefix) === password.fingerprint) continue;
      try {
        setMd5Key(this.#fd, prefix, password);
        this.#keys.set(prefix, password.fingerprint);
        changed.push(prefix);
      } catch (error) {
        failed.set(prefix, errorMessage(error));
      }
    }
    if (changed.length > 0) {
      this.#drain((address) => changed.some((prefix) => prefixHasAddress(prefix, address)));
    }
    return failed;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatch();
    libc.close(this.#fd);
  }

  /** Takes all connections that wait; those that `isRefused` are closed without a word. */
  #drain(isRefused: (address: IpAddr) => boolean): void {
    while (!this.#isClosed) {
      const next = this.#accept();
      if (typeof next === "number") return;
      if (isRefused(next.remoteAddress)) next.close();
      else this.#accepted(next);
    }
  }

  #watch(): void {
    this.#unwatch = poller.watch(this.#fd, () => this.#readable());
  }

  #readable(): void {
    const slice = new TimeSlice(() => systemClock.now(), acceptMs);
    while (!this.#isClosed) {
      const next = this.#accept();
      if (typeof next === "number") {
        if (isShortage(next)) this.#pause();
        return;
      }
      this.#accepted(next);
      if (slice.isOver) return;
    }
  }

  /** Out of descriptors, the waiting connection stays: to look again at once would be a busy loop. */
  #pause(): void {
    this.#unwatch();
    this.#unwatch = systemClock.setTimer(descriptorShortageMs, () => this.#watch());
  }

  /** The next connection, or the error number. */
  #accept(): AcceptedTcp | number {
    const [bytes, length] = [Buffer.alloc(28), Buffer.alloc(4)];
    length.writeUInt32LE(bytes.length);
    const fd = libc.accept4(this.#fd, bytes, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return errno();
    const address = this.#family === 4 ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
    return new AcceptedTcp(fd, ipFromBytes(address));
  }
}

function isShortage(code: number): boolean {
  return [EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(code);
}

function openSocket(family: IpFamily): number {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const fd = libc.socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError("Cannot open a TCP socket", errno());
  return fd;
}

/** fe80::/10 (RFC 4291 section 2.5.6). */
export function isLinkLocal(address: IpAddr): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}
