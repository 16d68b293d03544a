import type {
  Etcd3,
  ICompare,
  IRangeRequest,
  IRangeResponse,
  IRequestOp,
  IResponseOp,
  ITxnRequest,
} from "etcd3";

/** What etcd takes in one transaction by default. */
const maxOperations = 128;

/** One range's answer, and the revision that it is of. */
export interface RangeAnswer {
  readonly kvs: IRangeResponse["kvs"];
  readonly more: boolean;
  readonly revision: string;
}

/**
 * Writes under conditions: what to do where all hold, and what to look at where one does not. Each
 * operation has its look.
 */
export interface ConditionalWrite {
  readonly conditions: ICompare[];
  readonly operations: readonly IRequestOp[];
  readonly looks: readonly IRequestOp[];
}

export interface WriteAnswer {
  readonly succeeded: boolean;
  readonly responses: readonly IResponseOp[];
  readonly revision: string;
}

interface Waiting<Request, Answer> {
  readonly request: Request;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

type WaitingRead = Waiting<IRangeRequest, RangeAnswer>;
type WaitingWrite = Waiting<ConditionalWrite, WriteAnswer>;

/**
 * What is asked for in one turn goes to etcd as one transaction, one write and any number of reads: a call
 * of gRPC takes longer than what it asks for. Reads see the write. Where a transaction with a write fails,
 * its reads are asked for again: the cause may be the write's.
 */
export class Batch {
  readonly #client: Etcd3;
  #reads: WaitingRead[] = [];
  #writes: WaitingWrite[] = [];

  constructor(client: Etcd3) {
    this.#client = client;
  }

  /** Of the present revision. */
  read(request: IRangeRequest): Promise<RangeAnswer> {
    return new Promise((resolve, reject) => {
      this.#reads.push({ request, resolve, reject });
      this.#sendLater();
    });
  }

  write(request: ConditionalWrite): Promise<WriteAnswer> {
    return new Promise((resolve, reject) => {
      this.#writes.push({ request, resolve, reject });
      this.#sendLater();
    });
  }

  #sendLater(): void {
    if (this.#reads.length + this.#writes.length > 1) return;
    process.nextTick(() => {
      while (this.#reads.length + this.#writes.length > 0) {
        const write = this.#writes.shift();
        const room = maxOperations - (write?.request.operations.length ?? 0);
        void send(this.#client, write, this.#reads.splice(0, room));
      }
    });
  }
}

async function send(
  client: Etcd3,
  write: WaitingWrite | undefined,
  reads: readonly WaitingRead[],
): Promise<void> {
  try {
    const { succeeded, responses, header } = await ask(client, write?.request, reads);
    const { revision } = header;
    const count = write?.request.operations.length ?? 0;
    write?.resolve({ succeeded, responses: responses.slice(0, count), revision });
    const found = responses.slice(count);
    reads.forEach(({ resolve }, index) => {
      const { kvs = [], more = false } = found[index]?.response_range ?? {};
      resolve({ kvs, more, revision });
    });
  } catch (error) {
    write?.reject(error);
    if (write !== undefined && reads.length > 0) await send(client, undefined, reads);
    else for (const { reject } of reads) reject(error);
  }
}

async function ask(
  client: Etcd3,
  write: ConditionalWrite | undefined,
  reads: readonly WaitingRead[],
): ReturnType<Etcd3["kv"]["txn"]> {
  const [first] = reads;
  if (write === undefined && reads.length === 1 && first !== undefined) {
    const range = await client.kv.range(first.request);
    const responses = [{ response_range: range }] as unknown as IResponseOp[];
    return { header: range.header, succeeded: true, responses };
  }
  const ranges = reads.map(({ request }) => ({ request_range: request }));
  const request: ITxnRequest =
    write === undefined
      ? { compare: [], success: ranges, failure: [] }
      : {
          compare: write.conditions,
          success: [...write.operations, ...ranges],
          failure: [...write.looks, ...ranges],
        };
  return await client.kv.txn(request);
}
