import { constants } from "node:os";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";
import { openUnixSocket, unixAddress } from "./unix-socket.ts";

const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** RFC 3164 section 4.1.1, as Calico's felix has it. */
const userFacility = 1;
const tag = "calico-felix";
const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
/** Who reads the socket has begun anew. */
const readerGone: ReadonlySet<number> = new Set([
  constants.errno.ECONNREFUSED,
  constants.errno.ENOTCONN,
]);

/** The machine's syslog. A line that it does not take at once is lost: nobody waits for it. */
export class Syslog {
  readonly #path: string;
  #fd: number;
  #nextTry = 0;

  /** @throws {NetlinkError} when nobody reads at `path`. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = connected(path);
  }

  /** `level`: pino's number. */
  write(line: string, level: number): void {
    const message = syslogMessage(line.trimEnd(), level, new Date());
    if (!readerGone.has(this.#send(message))) return;
    this.#reconnect();
    this.#send(message);
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd);
    this.#fd = -1;
  }

  /** @returns errno, or 0. */
  #send(message: Buffer): number {
    if (this.#fd < 0) return constants.errno.ENOTCONN;
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return Number(libc.send(this.#fd, message, message.length, flags)) < 0 ? errno() : 0;
  }

  /** At most once a second. */
  #reconnect(): void {
    const now = performance.now();
    if (now < this.#nextTry) return;
    this.#nextTry = now + 1000;
    this.close();
    try {
      this.#fd = connected(this.#path);
    } catch {
      // It is not back yet.
    }
  }
}

function connected(path: string): number {
  const fd = openUnixSocket(path, SOCK_DGRAM);
  const address = unixAddress(path);
  if (libc.connect(fd, address, address.length) === 0) return fd;
  const code = errno();
  libc.close(fd);
  throw systemError(`Cannot connect to ${path}`, code);
}

/** RFC 3164 section 4.1, without the host's name, as local programs write it. `level`: pino's. */
export function syslogMessage(text: string, level: number, date: Date): Buffer {
  const two = (part: number) => `${part}`.padStart(2, "0");
  const day = `${date.getDate()}`.padStart(2);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  const priority = userFacility * 8 + severityOf(level);
  const stamp = `${months[date.getMonth()]} ${day} ${time}`;
  return Buffer.from(`<${priority}>${stamp} ${tag}[${process.pid}]: ${text}`);
}

/** Critical, error, warning, informational, debug (RFC 3164 section 4.1.1). */
function severityOf(level: number): number {
  if (level >= 60) return 2;
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}
