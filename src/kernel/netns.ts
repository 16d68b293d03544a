import { closeSync, constants, fstatSync, openSync, readdir } from "node:fs";
import { invariant } from "../lib/brand.ts";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";

const CLONE_NEWNET = 0x40000000;
const NS_GET_NSTYPE = 0xb703;
const NSFS_MAGIC = 0x6e736673;
const O_CLOEXEC = 0x80000;
/** struct statfs; its first field is the type of the file system. */
const statfsBytes = 120;

/** @throws {NodeJS.ErrnoException} when there is no such file. */
export function openNetns(path: string): number {
  return openSync(path, constants.O_RDONLY | O_CLOEXEC);
}

/** The namespace of this process' main thread, opened once: /proc/1 may not be ours to read. */
let own: number | undefined;

export function ownNetns(): number {
  own ??= openNetns("/proc/thread-self/ns/net");
  return own;
}

export function closeNetns(fd: number): void {
  closeSync(fd);
}

/**
 * True when the descriptor is a network namespace: a file of nsfs, of type CLONE_NEWNET (ioctl_ns(2)).
 * The file system is asked for first: to another file's driver the ioctl could mean anything.
 */
export function isNetworkNamespace(fd: number): boolean {
  const statfs = Buffer.alloc(statfsBytes);
  if (libc.fstatfs(fd, statfs) < 0 || statfs.readBigUInt64LE(0) !== BigInt(NSFS_MAGIC))
    return false;
  return libc.ioctl(fd, NS_GET_NSTYPE, 0) === CLONE_NEWNET;
}

/** Two descriptors of one namespace have one device and inode. */
export function isSameNamespace(a: number, b: number): boolean {
  const [left, right] = [fstatSync(a), fstatSync(b)];
  return left.dev === right.dev && left.ino === right.ino;
}

let away = false;

/**
 * Runs `task` with this thread in another network namespace. `task` must be synchronous: what it
 * started would go on elsewhere.
 *
 * @throws {NetlinkError} when the namespace cannot be entered; and what `task` throws.
 */
export function inNetns<Result>(fd: number, task: () => Result): Result {
  invariant(!away, "inNetns is not nested: the inner way back would lead past the outer");
  warmThreadPool();
  const home = ownNetns();
  if (libc.setns(fd, CLONE_NEWNET) < 0) {
    throw systemError("Cannot enter the network namespace", errno());
  }
  away = true;
  try {
    return task();
  } finally {
    // Going on in a foreign namespace would write to it: end at once.
    if (libc.setns(home, CLONE_NEWNET) < 0) process.abort();
    away = false;
  }
}

let warmed = false;

/**
 * Makes libuv start the threads of its pool while we are at home, which it does all at once at the
 * first asynchronous call. A thread started elsewhere would stay there for ever.
 */
function warmThreadPool(): void {
  if (warmed) return;
  warmed = true;
  readdir("/", () => undefined);
}
