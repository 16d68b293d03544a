import type { Etcd3, IOptions } from "etcd3";
import type { Clock } from "../../lib/clock.ts";
import { DatastoreError } from "../datastore.ts";

export interface EtcdConfig {
  /** "http://HOST:PORT", "https://HOST:PORT" or "unix:///PATH". Any that answers is used. */
  readonly endpoints: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly tls?: TlsFiles;
}

/** Contents of PEM files. */
export interface TlsFiles {
  /** The system's authorities when absent. */
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
}

/**
 * Settings of gRPC that its defaults get wrong for us: a list may be larger than 4 MB; a server that came
 * back is to be found in a second, not in two minutes; a peer that died without a word is to be noticed.
 * etcd takes a ping each 5 s at most.
 */
const grpcOptions = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
} as const;

/** Makes a client, which asks nothing of the server yet. Loads etcd3, which takes 150 ms. */
export async function createEtcdClient(
  config: EtcdConfig,
  ports: { readonly deadlineMs: number; readonly clock: Clock },
): Promise<Etcd3> {
  const { Etcd3 } = await import("etcd3");
  const { endpoints, username, password, tls } = config;
  const secure = endpoints.some((endpoint) => endpoint.startsWith("https:"));
  return new Etcd3({
    hosts: [...endpoints],
    defaultCallOptions: () => ({ deadline: ports.clock.date().getTime() + ports.deadlineMs }),
    faultHandling: { global: retryElsewhere(endpoints.length), host: () => passThrough },
    grpcOptions,
    ...(username === undefined ? {} : { auth: { username, password: password ?? "" } }),
    ...(secure ? { credentials: credentialsOf(tls) } : {}),
  });
}

/** gRPC takes null for what is absent; etcd3's type does not say so. */
function credentialsOf(tls: TlsFiles = {}): NonNullable<IOptions["credentials"]> {
  const { ca = null, certificate = null, key = null } = tls;
  const credentials = { rootCertificate: ca, certChain: certificate, privateKey: key };
  return credentials as unknown as NonNullable<IOptions["credentials"]>;
}

type FaultHandling = NonNullable<IOptions["faultHandling"]>;
type Policy = NonNullable<FaultHandling["global"]>;
type Task<Result> = (context: object) => Result | PromiseLike<Result>;

function policyOf(execute: <Result>(task: Task<Result>) => Promise<Result>): Policy {
  return { execute } as unknown as Policy;
}

/** No circuit breaker: etcd3's refuses calls for 5 s after three failures, longer than a restart lasts. */
const passThrough: Policy = policyOf(async (task) => task({}));

/**
 * Tries the next endpoint when one was not even reached. etcd3 would also repeat a request that the
 * server may have carried out: a create would then find its own object.
 */
function retryElsewhere(endpoints: number): Policy {
  return policyOf(async (task) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await task({});
      } catch (error) {
        if (attempt >= endpoints || !wasNeverSent(error)) throw error;
      }
    }
  });
}

function wasNeverSent(error: unknown): boolean {
  return (
    error instanceof Error && /No connection established|Name resolution failed/.test(error.message)
  );
}

/** Whatever etcd3 throws: we cannot know that the server did what was asked. */
export function unavailable(cause: unknown): DatastoreError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DatastoreError(`Cannot use etcd: ${why}`, { code: "unavailable" }, { cause });
}
