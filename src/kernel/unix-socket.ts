import { chmodSync, rmSync, statSync } from "node:fs";
import { constants } from "node:os";
import { invariant } from "../lib/brand.ts";
import { systemClock } from "../lib/clock.ts";
import { bufferAddress, errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";
import { poller } from "./netlink/poller.ts";

/**
 * Unix stream sockets that carry descriptors (SCM_RIGHTS) and tell who is at the other end
 * (SO_PEERCRED): what node:net cannot do.
 */

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const POLLOUT = 4;
const SHUT_WR = 1;
const backlog = 128;
const maxPathBytes = 107;
const receiveBytes = 1 << 16;
/** Room for a few descriptors: what is beyond is dropped and closed by the kernel. */
const controlBytes = 64;
const vectorOffset = 56;
const controlOffset = 72;
const controlLengthOffset = 40;
const descriptorShortageMs = 100;
const { EAGAIN, EINTR, EMFILE, ENFILE } = constants.errno;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Received {
  /** Empty at the end of the stream. */
  readonly bytes: Buffer;
  /** Ours to close. */
  readonly descriptors: readonly number[];
}

/** Of all connections: what comes is copied out at once. 64 KiB anew for each read cost more than the call. */
const receiveBuffer = Buffer.alloc(receiveBytes);

/** One end of a connection. `close` may be called at any time, and twice: what waits is rejected. */
export class UnixConnection {
  readonly #fd: number;
  readonly #end = new AbortController();

  constructor(fd: number) {
    this.#fd = fd;
  }

  get peer(): PeerCredentials {
    const [value, length] = [Buffer.alloc(12), Buffer.alloc(4)];
    length.writeUInt32LE(value.length);
    this.#end.signal.throwIfAborted();
    if (libc.getsockopt(this.#fd, SOL_SOCKET, SO_PEERCRED, value, length) < 0) {
      throw systemError("Cannot tell who is connected", errno());
    }
    return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
  }

  /** Waits for the next bytes, at most 64 KiB, and what descriptors came with them. */
  async read(signal: AbortSignal): Promise<Received> {
    for (;;) {
      this.#end.signal.throwIfAborted();
      const received = this.#receive();
      if (received !== undefined) return received;
      await ready(this.#fd, [signal, this.#end.signal]);
    }
  }

  /** Writes all of `bytes`; `descriptor` travels with the first: without any it could not. */
  async write(bytes: Buffer, signal: AbortSignal, descriptor?: number): Promise<void> {
    invariant(descriptor === undefined || bytes.length > 0, "a descriptor travels with a byte");
    let rest = bytes;
    let toPass = descriptor;
    while (rest.length > 0) {
      this.#end.signal.throwIfAborted();
      const control = toPass === undefined ? Buffer.alloc(0) : rights(toPass);
      const header = messageHeader(rest, control);
      const sent = Number(libc.sendmsg(this.#fd, header, MSG_NOSIGNAL | MSG_DONTWAIT));
      const code = sent < 0 ? errno() : 0;
      if (sent > 0) {
        rest = rest.subarray(sent);
        toPass = undefined;
      } else if (code === EAGAIN) await ready(this.#fd, [signal, this.#end.signal], POLLOUT);
      else if (code !== EINTR) throw systemError("Cannot write to the socket", code);
    }
  }

  /** The other end reads to the end of what was written. */
  endWriting(): void {
    if (!this.#end.signal.aborted) libc.shutdown(this.#fd, SHUT_WR);
  }

  close(): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort(new Error("Cannot use the socket: it is closed"));
    libc.close(this.#fd);
  }

  #receive(): Received | undefined {
    const header = messageHeader(receiveBuffer, Buffer.alloc(controlBytes));
    const got = Number(libc.recvmsg(this.#fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    if (got < 0) {
      const code = errno();
      if (code === EAGAIN || code === EINTR) return undefined;
      throw systemError("Cannot read from the socket", code);
    }
    const controlEnd = controlOffset + Number(header.readBigUInt64LE(controlLengthOffset));
    return {
      bytes: Buffer.from(receiveBuffer.subarray(0, got)),
      descriptors: descriptorsOf(header.subarray(controlOffset, controlEnd)),
    };
  }
}

/**
 * Listens at `path` until `signal` aborts. Who may connect is decided by the file's mode and folder.
 * A file that an earlier process left there is replaced.
 */
export async function listenUnix(
  path: string,
  onConnection: (connection: UnixConnection) => void,
  signal: AbortSignal,
): Promise<void> {
  const fd = openUnixSocket(path);
  let inode: number | undefined;
  try {
    rmSync(path, { force: true });
    const address = unixAddress(path);
    if (libc.bind(fd, address, address.length) < 0)
      throw systemError(`Cannot bind ${path}`, errno());
    inode = inodeOf(path);
    chmodSync(path, 0o600);
    if (libc.listen(fd, backlog) < 0) throw systemError(`Cannot listen at ${path}`, errno());
    while (!signal.aborted) {
      const accepted = libc.accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) onConnection(new UnixConnection(accepted));
      else await nextConnection(fd, errno(), signal);
    }
  } finally {
    libc.close(fd);
    // Another process may listen there by now: its file is not ours to remove.
    if (inode !== undefined && inodeOf(path) === inode) rmSync(path, { force: true });
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** Out of descriptors, the waiting connection stays: to look again at once would be a busy loop. */
function nextConnection(fd: number, code: number, signal: AbortSignal): Promise<void> {
  const wait =
    code === EMFILE || code === ENFILE
      ? systemClock.sleep(descriptorShortageMs, signal)
      : ready(fd, [signal]);
  return wait.catch(() => undefined);
}

/** @throws {NetlinkError} when nobody listens there. */
export function connectUnix(path: string): UnixConnection {
  const fd = openUnixSocket(path);
  const address = unixAddress(path);
  if (libc.connect(fd, address, address.length) < 0) {
    const code = errno();
    libc.close(fd);
    throw systemError(`Cannot connect to ${path}`, code);
  }
  return new UnixConnection(fd);
}

/** @throws for a path that is too long, or when the kernel gives no socket. */
export function openUnixSocket(path: string, type: number = SOCK_STREAM): number {
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new RangeError(
      `Cannot use the socket path ${path}: it is longer than ${maxPathBytes} octets`,
    );
  }
  const fd = libc.socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError("Cannot open a unix socket", errno());
  return fd;
}

/** struct sockaddr_un: family(2) path. */
export function unixAddress(path: string): Buffer {
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, Buffer.from(`${path}\0`)]);
}

/** Until the descriptor can be read (or written): rejects when one of `signals` aborts. */
function ready(fd: number, signals: readonly AbortSignal[], events?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted !== undefined) {
      reject(aborted.reason);
      return;
    }
    const settle = (act: () => void) => {
      unwatch();
      for (const signal of signals) signal.removeEventListener("abort", stop);
      act();
    };
    const stop = () => settle(() => reject(signals.find(({ aborted }) => aborted)?.reason));
    const unwatch = poller.watch(fd, () => settle(resolve), events);
    for (const signal of signals) signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * struct msghdr of one buffer: name(8) namelen(8) iov(8) iovlen(8) control(8) controllen(8) flags(8);
 * behind it the iovec(16) and the control data that it points to, so that all of it lives as long as
 * the header does. `bytes` must outlive the call.
 */
function messageHeader(bytes: Buffer, control: Buffer): Buffer {
  const header = Buffer.alloc(controlOffset + control.length);
  const start = bufferAddress(header);
  header.writeBigUInt64LE(start + BigInt(vectorOffset), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(bufferAddress(bytes), vectorOffset);
  header.writeBigUInt64LE(BigInt(bytes.length), vectorOffset + 8);
  if (control.length > 0) {
    header.writeBigUInt64LE(start + BigInt(controlOffset), 32);
    header.writeBigUInt64LE(BigInt(control.length), controlLengthOffset);
    header.set(control, controlOffset);
  }
  return header;
}

/** struct cmsghdr: length(8) level(4) type(4), then the descriptor. */
function rights(descriptor: number): Buffer {
  const control = Buffer.alloc(24);
  control.writeBigUInt64LE(20n, 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(descriptor, 16);
  return control;
}

function descriptorsOf(control: Buffer): number[] {
  const descriptors: number[] = [];
  for (let at = 0; at + 16 <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < 16 || at + length > control.length) break;
    const isRights =
      control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS;
    if (isRights) {
      for (let item = at + 16; item + 4 <= at + length; item += 4) {
        descriptors.push(control.readInt32LE(item));
      }
    }
    at += (length + 7) & ~7;
  }
  return descriptors;
}
