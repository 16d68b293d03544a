import { rmSync } from "node:fs";
import { errno, libc } from "../../src/kernel/netlink/libc.ts";
import { systemError } from "../../src/kernel/netlink/netlink-error.ts";
import { openUnixSocket, unixAddress } from "../../src/kernel/unix-socket.ts";

const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

/** Reads datagrams at a path, as a syslog daemon does at /dev/log. */
export class DatagramReader {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    rmSync(path, { force: true });
    this.#fd = openUnixSocket(path, SOCK_DGRAM);
    const address = unixAddress(path);
    if (libc.bind(this.#fd, address, address.length) < 0) {
      throw systemError(`Cannot bind ${path}`, errno());
    }
  }

  /** What waits there now. */
  read(): string[] {
    const buffer = Buffer.alloc(1 << 16);
    const texts: string[] = [];
    for (;;) {
      const got = Number(libc.recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
      if (got < 0) return texts;
      texts.push(buffer.toString("utf8", 0, got));
    }
  }

  close(): void {
    libc.close(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
