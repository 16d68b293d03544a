import koffi from "koffi";

/**
 * The functions of libc that tortie calls, by their C prototypes. A call that returns a negative
 * number has set errno: read `errno()` at once.
 */
const lib = koffi.load("libc.so.6");

/** A C function; `async` calls it in a thread of libuv's pool, its last argument the callback. */
export interface NativeFunction {
  (...args: unknown[]): number;
  async(...args: unknown[]): void;
}

export type LibcName =
  | "socket"
  | "bind"
  | "listen"
  | "accept4"
  | "connect"
  | "send"
  | "recv"
  | "sendmsg"
  | "recvmsg"
  | "shutdown"
  | "setsockopt"
  | "getsockopt"
  | "getsockname"
  | "close"
  | "open"
  | "setns"
  | "ioctl"
  | "ioctlPointer"
  | "recvmmsg"
  | "sendmmsg"
  | "readAt"
  | "writeAt"
  | "pollAt"
  | "fstatfs"
  | "eventfd"
  | "write"
  | "read"
  | "poll"
  | "if_nametoindex";

export const libc: Readonly<Record<LibcName, NativeFunction>> = {
  socket: lib.func("int socket(int, int, int)"),
  bind: lib.func("int bind(int, void *, uint)"),
  listen: lib.func("int listen(int, int)"),
  accept4: lib.func("int accept4(int, void *, void *, int)"),
  connect: lib.func("int connect(int, void *, uint)"),
  send: lib.func("long send(int, void *, ulong, int)"),
  recv: lib.func("long recv(int, void *, ulong, int)"),
  sendmsg: lib.func("long sendmsg(int, void *, int)"),
  recvmsg: lib.func("long recvmsg(int, void *, int)"),
  shutdown: lib.func("int shutdown(int, int)"),
  setsockopt: lib.func("int setsockopt(int, int, int, void *, uint)"),
  getsockopt: lib.func("int getsockopt(int, int, int, void *, void *)"),
  getsockname: lib.func("int getsockname(int, void *, void *)"),
  close: lib.func("int close(int)"),
  open: lib.func("int open(const char *, int)"),
  setns: lib.func("int setns(int, int)"),
  ioctl: lib.func("int ioctl(int, ulong, ulong)"),
  ioctlPointer: lib.func("int ioctl(int, ulong, void *)"),
  // Memory by its address, for what is called for each packet: a buffer would cost a look-up.
  recvmmsg: lib.func("int recvmmsg(int, ulong, uint, int, ulong)"),
  sendmmsg: lib.func("int sendmmsg(int, ulong, uint, int)"),
  readAt: lib.func("long read(int, ulong, ulong)"),
  writeAt: lib.func("long write(int, ulong, ulong)"),
  pollAt: lib.func("int poll(ulong, ulong, int)"),
  fstatfs: lib.func("int fstatfs(int, void *)"),
  eventfd: lib.func("int eventfd(uint, int)"),
  write: lib.func("long write(int, void *, ulong)"),
  read: lib.func("long read(int, void *, ulong)"),
  poll: lib.func("int poll(void *, ulong, int)"),
  if_nametoindex: lib.func("uint if_nametoindex(const char *)"),
};
/** errno of the last call. To be read before anything else is called. */
export function errno(): number {
  return koffi.errno();
}

/** Where a buffer's bytes are, for structures that hold pointers. The buffer must outlive the call. */
export function bufferAddress(buffer: Uint8Array): bigint {
  return BigInt(koffi.address(buffer));
}
