import { setImmediate } from "node:timers/promises";
import { KeyedLock } from "../../lib/keyed-lock.ts";
import { answerType, type Refusal, refusalOf } from "./answer.ts";
import { bufferAddress, errno, libc } from "./libc.ts";
import { MessageWriter, messagesOf, type NetlinkMessage } from "./message.ts";
import { systemError } from "./netlink-error.ts";
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
const MSG_DONTWAIT = 0x40;

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;

const EINTR = 4;
const EAGAIN = 11;
const EBADF = 9;
const ETIMEDOUT = 110;
const bufferBytes = 8 << 20;
const receiveBytes = 1 << 18;
/** Messages and octets in one send: to write more would hold up the event loop for milliseconds. */
const batchMessages = 128;
const batchBytes = 1 << 18;
const dumpAttempts = 10;
/** How long a list may be read before the event loop gets its turn. */
const sliceMs = 2;

export interface Request {
  readonly type: number;
  /** Beside REQUEST and ACK or DUMP, which are always set. */
  readonly flags: number;
  fill(writer: MessageWriter): void;
}

/** What became of request number `index` when the kernel refused it. */
export interface RequestFailure extends Refusal {
  readonly index: number;
}

export interface SocketOptions {
  /** How long an answer may take, asked each time; 0, as without it: as long as it wants. */
  readonly timeoutMs?: (() => number) | undefined;
  /** The kernel's answers have keys in them: nothing of any stays, asked for or late. */
  readonly hasSecrets?: boolean;
}

/** `count` requests from number `start` on, the sequence number of the first, and their messages. */
interface Batch {
  readonly writer: MessageWriter;
  readonly start: number;
  readonly count: number;
  readonly first: number;
}

type Decode<Item> = (message: NetlinkMessage) => Item | undefined;

/**
 * A netlink socket of one protocol, for requests. It stays in the network namespace in which it was
 * made, whichever thread uses it.
 *
 * The kernel does the work inside send(2), some of it for 20 ms and more (removing a link waits for
 * every reader of it), and all of it waits for the one lock of the routing tables. So send runs in a
 * thread of libuv's pool (20 us more), and receiving never blocks. One exchange at a time.
 */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #received = Buffer.alloc(receiveBytes);
  readonly #lock = new KeyedLock();
  readonly #timeoutMs: () => number;
  readonly #hasSecrets: boolean;
  /** Octets of the receive buffer that may hold something. */
  #filled = 0;
  #sequence = 1;
  #closed = false;

  constructor(protocol: number, { timeoutMs, hasSecrets }: SocketOptions = {}) {
    this.#timeoutMs = timeoutMs ?? (() => 0);
    this.#hasSecrets = hasSecrets ?? false;
    this.#fd = openNetlink(protocol);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      setOption(this.#fd, SOL_NETLINK, option, 1);
    }
  }

  /** What is under way ends first: its descriptor must not become another's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#lock.run("", async () => libc.close(this.#fd));
  }

  /**
   * An ioctl of the socket's network namespace: `argument` is what it points to. It returns at once.
   *
   * @throws {NetlinkError} when the kernel refuses.
   */
  ioctl(request: number, argument: Buffer, what: string): Promise<void> {
    return this.#lock.run("", async () => {
      if (libc.ioctl(this.#fd, request, bufferAddress(argument)) < 0) {
        throw systemError(what, errno());
      }
    });
  }

  /** @throws {NetlinkError} when the kernel refuses. */
  async request(request: Request, what: string): Promise<void> {
    const [failure] = await this.batch([request]);
    if (failure !== undefined) throw systemError(what, failure.errno, failure.message);
  }

  /** Applies requests in order. A refused one does not stop the others. */
  async batch(requests: readonly Request[]): Promise<RequestFailure[]> {
    const failures: RequestFailure[] = [];
    let next = this.#writtenFrom(requests, 0);
    try {
      while (next.count > 0) {
        const batch = next;
        const failed = await this.#exchange(async () => {
          const sent = this.#send(batch.writer);
          // While the kernel works, in another thread.
          try {
            next = this.#writtenFrom(requests, batch.start + batch.count);
          } finally {
            await sent;
          }
          return this.#refusalsOf(batch);
        });
        failures.push(...failed);
      }
    } finally {
      next.writer.wipe();
    }
    return failures;
  }

  /**
   * Lists what the request selects. Repeated when the kernel says that the list changed meanwhile.
   *
   * @throws {NetlinkError} when the kernel refuses, or the list keeps changing.
   */
  async dump<Item>(request: Request, what: string, decode: Decode<Item>): Promise<Item[]> {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const items = await this.#exchange(() => this.#dumpOnce(request, what, decode));
      if (items !== undefined) return items;
    }
    throw systemError(what, EINTR, "the list keeps changing");
  }

  /**
   * One request that is answered with one message.
   *
   * @throws {NetlinkError} when the kernel refuses.
   */
  query<Item>(request: Request, what: string, decode: Decode<Item>): Promise<Item | undefined> {
    return this.#exchange(async () => {
      const sequence = this.#nextSequence();
      await this.#send(messageOf(request, NLM_F_REQUEST, sequence));
      for (;;) {
        for (const message of messagesOf(await this.#receive())) {
          if (message.sequence !== sequence) continue;
          if (message.type !== answerType.error) return decode(message);
          const refusal = refusalOf(message);
          if (refusal !== undefined) throw systemError(what, refusal.errno, refusal.message);
        }
      }
    });
  }

  /** The messages of one send. */
  #writtenFrom(requests: readonly Request[], start: number): Batch {
    const first = this.#sequence;
    const writer = new MessageWriter();
    const end = Math.min(start + batchMessages, requests.length);
    let count = 0;
    for (const [index, request] of requests.slice(start, end).entries()) {
      const isLast = start + index + 1 === end || writer.length > batchBytes;
      // A refusal is always answered, in order; so one acknowledgment tells of all.
      const flags = isLast ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST;
      appendMessage(writer, request, flags, this.#nextSequence());
      count = index + 1;
      if (isLast) break;
    }
    return { writer, start, count, first };
  }

  async #refusalsOf({ start, count, first }: Batch): Promise<RequestFailure[]> {
    const failed: RequestFailure[] = [];
    for (let isAnswered = false; !isAnswered; ) {
      for (const message of messagesOf(await this.#receive())) {
        const offset = (message.sequence - first) >>> 0;
        if (message.type !== answerType.error || offset >= count) continue;
        isAnswered = offset === count - 1;
        const refusal = refusalOf(message);
        if (refusal !== undefined) failed.push({ index: start + offset, ...refusal });
      }
    }
    return failed;
  }

  async #dumpOnce<Item>(
    request: Request,
    what: string,
    decode: Decode<Item>,
  ): Promise<Item[] | undefined> {
    const sequence = this.#nextSequence();
    await this.#send(messageOf(request, NLM_F_REQUEST | NLM_F_DUMP, sequence));
    const items: Item[] = [];
    let interrupted = false;
    for (let sliceStart = performance.now(); ; ) {
      for (const message of messagesOf(await this.#receive())) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === answerType.done || message.type === answerType.error) {
          const refusal = refusalOf(message);
          if (refusal === undefined) return interrupted ? undefined : items;
          if (refusal.errno === EINTR) return undefined;
          throw systemError(what, refusal.errno, refusal.message);
        }
        const item = decode(message);
        if (item !== undefined) items.push(item);
      }
      if (performance.now() - sliceStart > sliceMs) {
        await setImmediate();
        sliceStart = performance.now();
      }
    }
  }

  async #exchange<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw systemError("Cannot use a closed netlink socket", EBADF);
    return await this.#lock.run("", () => task().finally(() => this.#wipeReceived()));
  }

  #wipeReceived(): void {
    if (!this.#hasSecrets) return;
    this.#received.fill(0, 0, this.#filled);
    this.#filled = 0;
  }

  #nextSequence(): number {
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) >>> 0;
    return sequence;
  }

  async #send(writer: MessageWriter): Promise<void> {
    try {
      await this.#sendBytes(writer.bytes());
    } finally {
      writer.wipe();
    }
  }

  async #sendBytes(bytes: Buffer): Promise<void> {
    const inThread = await new Promise<number>((resolve, reject) => {
      libc.send.async(this.#fd, bytes, bytes.length, 0, (error: Error | null, sent: number) => {
        if (error === null) resolve(Number(sent));
        else reject(error);
      });
    });
    if (inThread === bytes.length) return;
    // Nothing was sent, and the thread's errno is out of reach: once more, here.
    if (Number(libc.send(this.#fd, bytes, bytes.length, 0)) === bytes.length) return;
    throw systemError("Cannot send to the kernel", errno());
  }

  async #receive(): Promise<Buffer> {
    for (;;) {
      const got = Number(libc.recv(this.#fd, this.#received, receiveBytes, MSG_DONTWAIT));
      if (got >= 0) {
        this.#filled = Math.max(this.#filled, got);
        return this.#received.subarray(0, got);
      }
      const code = errno();
      if (code === EAGAIN) await readable(this.#fd, this.#timeoutMs());
      else if (code !== EINTR) throw systemError("Cannot receive from the kernel", code);
    }
  }
}

function appendMessage(
  writer: MessageWriter,
  request: Request,
  flags: number,
  sequence: number,
): void {
  writer.begin(request.type, request.flags | flags, sequence);
  request.fill(writer);
  writer.end();
}

function messageOf(request: Request, flags: number, sequence: number): MessageWriter {
  const writer = new MessageWriter();
  appendMessage(writer, request, flags, sequence);
  return writer;
}

/**
 * A bound netlink socket with big buffers, in the calling thread's network namespace.
 *
 * @throws {NetlinkError} when the kernel gives none.
 */
export function openNetlink(protocol: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) throw systemError("Cannot open a netlink socket", errno());
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  if (libc.bind(fd, address, address.length) < 0) {
    const code = errno();
    libc.close(fd);
    throw systemError("Cannot bind a netlink socket", code);
  }
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes);
  return fd;
}

/** False when the kernel does not know the option, or refuses it. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return libc.setsockopt(fd, level, option, bytes, 4) === 0;
}

/** @throws {NetlinkError} when nothing is there for so long; 0: however long. */
function readable(fd: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      unwatch();
      clearTimeout(timer);
      act();
    };
    const unwatch = poller.watch(fd, () => settle(resolve));
    const late = () =>
      systemError(`Cannot wait for the kernel: no answer in ${timeoutMs} ms`, ETIMEDOUT);
    const timer =
      timeoutMs === 0 ? undefined : setTimeout(() => settle(() => reject(late())), timeoutMs);
  });
}
