import { invariant } from "../../lib/brand.ts";
import { CodedError } from "../../lib/errors.ts";
import { errno, libc } from "./libc.ts";
import {
  attributesOf,
  headerBytes,
  MessageWriter,
  messagesOf,
  type NetlinkMessage,
  textOf,
} from "./message.ts";
import { poller } from "./poller.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_CAPPED = 0x100;

const EINTR = 4;
const bufferBytes = 8 << 20;
const receiveBytes = 1 << 18;
/** Messages in one send: the kernel works through them in under a millisecond. */
const batchSize = 64;
const dumpAttempts = 10;

export interface NetlinkFailure {
  readonly code: "netlink";
  readonly errno: number;
}

/** The kernel refused a request. */
export class NetlinkError extends CodedError<NetlinkFailure> {
  override readonly name = "NetlinkError";

  get errno(): number {
    return this.detail.errno;
  }
}

export interface Request {
  readonly type: number;
  /** Beside REQUEST and ACK, which are always set. */
  readonly flags: number;
  fill(writer: MessageWriter): void;
}

/** What became of request number `index` when the kernel refused it. */
export interface RequestFailure {
  readonly index: number;
  readonly errno: number;
  readonly message: string;
}

/**
 * A netlink socket of one protocol, for requests. It stays in the network namespace in which it was
 * made. Calls are synchronous: a batch is short, and nothing else can come between.
 */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #received = Buffer.alloc(receiveBytes);
  #sequence = 1;

  constructor(protocol: number) {
    this.#fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (this.#fd < 0) throw systemError("Cannot open a netlink socket", errno());
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    if (libc.bind(this.#fd, address, address.length) < 0) {
      throw systemError("Cannot bind a netlink socket", errno());
    }
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
    setOption(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      setOption(this.#fd, SOL_NETLINK, option, 1);
    }
  }

  get fd(): number {
    return this.#fd;
  }

  close(): void {
    libc.close(this.#fd);
  }

  /** @throws {NetlinkError} when the kernel refuses. */
  request(request: Request, what: string): void {
    const [failure] = this.batch([request]);
    if (failure !== undefined) throw systemError(what, failure.errno, failure.message);
  }

  /**
   * As `request`, for what the kernel takes long over (removing a link waits for every reader of it,
   * 20 ms and more): the event loop goes on meanwhile. One at a time, on a socket of its own.
   */
  async slowRequest(request: Request, what: string): Promise<void> {
    const sequence = this.#sequence++;
    const writer = new MessageWriter();
    writer.begin(request.type, request.flags | NLM_F_REQUEST | NLM_F_ACK, sequence);
    request.fill(writer);
    this.#send(writer.end().bytes());
    for (;;) {
      await readable(this.#fd);
      for (const message of messagesOf(this.#receive())) {
        if (message.sequence !== sequence || message.type !== NLMSG_ERROR) continue;
        const failure = failureOf(message);
        if (failure === undefined) return;
        throw systemError(what, failure.errno, failure.message);
      }
    }
  }

  /** Applies requests in order. A refused one does not stop the others. */
  batch(requests: readonly Request[]): RequestFailure[] {
    const failures: RequestFailure[] = [];
    for (let start = 0; start < requests.length; start += batchSize) {
      const part = requests.slice(start, start + batchSize);
      for (const failure of this.#batchOnce(part)) {
        failures.push({ ...failure, index: failure.index + start });
      }
    }
    return failures;
  }

  #batchOnce(requests: readonly Request[]): RequestFailure[] {
    const first = this.#sequence;
    const writer = new MessageWriter();
    for (const { type, flags, fill } of requests) {
      writer.begin(type, flags | NLM_F_REQUEST | NLM_F_ACK, this.#sequence++);
      fill(writer);
      writer.end();
    }
    this.#send(writer.bytes());
    const failures: RequestFailure[] = [];
    for (let waiting = requests.length; waiting > 0; ) {
      for (const message of messagesOf(this.#receive())) {
        const index = message.sequence - first;
        if (message.type !== NLMSG_ERROR || index < 0 || index >= requests.length) continue;
        waiting--;
        const failure = failureOf(message);
        if (failure !== undefined) failures.push({ index, ...failure });
      }
    }
    return failures;
  }

  /**
   * Lists what the request selects. Repeated when the kernel says that the list changed meanwhile.
   *
   * @throws {NetlinkError} when the kernel refuses, or keeps changing.
   */
  dump<Item>(
    request: Request,
    what: string,
    decode: (message: NetlinkMessage) => Item | undefined,
  ): Item[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const items = this.#dumpOnce(request, what, decode);
      if (items !== undefined) return items;
    }
    throw systemError(what, EINTR, "the list keeps changing");
  }

  #dumpOnce<Item>(
    request: Request,
    what: string,
    decode: (message: NetlinkMessage) => Item | undefined,
  ): Item[] | undefined {
    const sequence = this.#sequence++;
    const writer = new MessageWriter();
    writer.begin(request.type, request.flags | NLM_F_REQUEST | NLM_F_DUMP, sequence);
    request.fill(writer);
    this.#send(writer.end().bytes());
    const items: Item[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of messagesOf(this.#receive())) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === NLMSG_DONE) return interrupted ? undefined : items;
        if (message.type === NLMSG_ERROR) {
          const failure = failureOf(message);
          if (failure?.errno === EINTR) return undefined;
          if (failure !== undefined) throw systemError(what, failure.errno, failure.message);
          continue;
        }
        const item = decode(message);
        if (item !== undefined) items.push(item);
      }
    }
  }

  /** One request that is answered with one message. */
  query<Item>(
    request: Request,
    what: string,
    decode: (message: NetlinkMessage) => Item | undefined,
  ): Item | undefined {
    const sequence = this.#sequence++;
    const writer = new MessageWriter();
    writer.begin(request.type, request.flags | NLM_F_REQUEST, sequence);
    request.fill(writer);
    this.#send(writer.end().bytes());
    for (;;) {
      for (const message of messagesOf(this.#receive())) {
        if (message.sequence !== sequence) continue;
        if (message.type !== NLMSG_ERROR) return decode(message);
        const failure = failureOf(message);
        if (failure !== undefined) throw systemError(what, failure.errno, failure.message);
      }
    }
  }

  #send(bytes: Buffer): void {
    const sent = Number(libc.send(this.#fd, bytes, bytes.length, 0));
    if (sent !== bytes.length) throw systemError("Cannot send to the kernel", errno());
  }

  #receive(): Buffer {
    for (;;) {
      const got = Number(libc.recv(this.#fd, this.#received, receiveBytes, 0));
      if (got >= 0) return this.#received.subarray(0, got);
      const code = errno();
      if (code !== EINTR) throw systemError("Cannot receive from the kernel", code);
    }
  }
}

function readable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const unwatch = poller.watch(fd, () => {
      unwatch();
      resolve();
    });
  });
}

/** An NLMSG_ERROR with errno 0 is an acknowledgement. */
function failureOf(message: NetlinkMessage): { errno: number; message: string } | undefined {
  invariant(message.body.length >= 4, "an NLMSG_ERROR carries an errno");
  const code = -message.body.readInt32LE(0);
  if (code === 0) return undefined;
  return { errno: code, message: extendedText(message) ?? errnoText(code) };
}

/** NLMSGERR_ATTR_MSG of an extended acknowledgement. */
function extendedText({ flags, body }: NetlinkMessage): string | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < 4 + headerBytes) return undefined;
  const echoed = (flags & NLM_F_CAPPED) !== 0 ? headerBytes : body.readUInt32LE(4);
  return textOf(attributesOf(body, 4 + ((echoed + 3) & ~3)).get(1));
}

const errnoNames: Readonly<Record<number, string>> = {
  1: "operation not permitted",
  2: "no such entry",
  3: "no such process or entry",
  11: "try again",
  13: "permission denied",
  16: "device or resource busy",
  17: "exists already",
  19: "no such device",
  22: "invalid argument",
  95: "not supported",
  99: "no such address",
  100: "network is down",
  101: "network is unreachable",
  107: "not connected",
  113: "no route to host",
};

export function errnoText(code: number): string {
  return errnoNames[code] ?? `errno ${code}`;
}

export function systemError(
  what: string,
  code: number,
  words: string = errnoText(code),
): NetlinkError {
  return new NetlinkError(`${what}: ${words}`, { code: "netlink", errno: code });
}

export function setOption(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  libc.setsockopt(fd, level, option, bytes, 4);
}
