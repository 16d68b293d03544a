import { closeSync, constants, fstatSync, openSync, readdirSync } from "node:fs";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";

const CLONE_NEWNET = 0x40000000;
const NS_GET_NSTYPE = 0xb703;
const O_CLOEXEC = 0x80000;

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

/** True when the descriptor is a network namespace: an nsfs file of type CLONE_NEWNET (ioctl_ns(2)). */
export function isNetworkNamespace(fd: number): boolean {
  return libc.ioctl(fd, NS_GET_NSTYPE) === CLONE_NEWNET;
}

/**
 * Runs `task` with this thread in another network namespace. `task` must be synchronous, and must not
 * start anything asynchronous: a thread that libuv's pool starts meanwhile would stay there for ever.
 */
export function inNetns<Result>(fd: number, task: () => Result): Result {
  warmThreadPool();
  const home = ownNetns();
  if (libc.setns(fd, CLONE_NEWNET) < 0) {
    throw systemError("Cannot enter the network namespace", errno());
  }
  try {
    return task();
  } finally {
    // Going on in a foreign namespace would write to it: end at once.
    if (libc.setns(home, CLONE_NEWNET) < 0) process.abort();
  }
}

let warmed = false;

/** Starts libuv's threads while we are at home; `readdirSync` alone would not. */
function warmThreadPool(): void {
  if (warmed) return;
  warmed = true;
  readdirSync("/");
}

/** Two descriptors of one namespace have one device and inode. */
export function isSameNamespace(a: number, b: number): boolean {
  const [left, right] = [fstatSync(a), fstatSync(b)];
  return left.dev === right.dev && left.ino === right.ino;
}
