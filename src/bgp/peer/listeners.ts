import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { Secret } from "../../lib/secret.ts";
import type { IncomingConnection, Listener, Transport } from "./transport.ts";

export interface ListenersConfig {
  readonly addresses: readonly IpAddr[];
  readonly port: number;
}

export interface ListenersDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Its abort ends them. */
  readonly signal: AbortSignal;
  readonly transport: Transport;
  readonly accepted: (connection: IncomingConnection) => void;
  /** The prefixes whose TCP-MD5 key cannot be set, whenever they may have changed. */
  readonly keysFailed: (failed: ReadonlyMap<Prefix, string>) => void;
}

const listenRetry = { minMs: 1000, maxMs: 30_000 };
/** A key that the kernel had no room for may find it later. */
const keyRetryMs = 30_000;

/** One address that is listened on. */
interface Listening {
  /** Once it does. */
  readonly port: Promise<number>;
  /** Closes the socket, or ends the tries to open it. */
  stop(): void;
}

/**
 * The sockets that we listen on, with the TCP-MD5 keys of all who may connect. A socket that cannot be
 * opened is tried again: the address may not be there yet, the port may still be held by a process that
 * ends. Other keys, and other addresses, never close one.
 */
export class Listeners {
  /** The ports of the first addresses, once all listen. */
  readonly listening: Promise<readonly number[]>;
  readonly #port: number;
  readonly #deps: ListenersDeps;
  readonly #addresses = new Map<IpAddr, Listening>();
  readonly #open = new Map<IpAddr, Listener>();
  #keys: ReadonlyMap<Prefix, Secret> = new Map();
  #cancelRetry: () => void = () => undefined;

  constructor({ addresses, port }: ListenersConfig, deps: ListenersDeps) {
    this.#port = port;
    this.#deps = deps;
    this.setAddresses(addresses);
    this.listening = Promise.all([...this.#addresses.values()].map((address) => address.port));
    deps.signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /** Listens on these and no others. */
  setAddresses(addresses: readonly IpAddr[]): void {
    if (this.#deps.signal.aborted) return;
    for (const [address, { stop }] of this.#addresses) {
      if (addresses.includes(address)) continue;
      this.#addresses.delete(address);
      stop();
    }
    for (const address of addresses) {
      getOrCreate(this.#addresses, address, () => this.#keepListening(address));
    }
  }

  #stop(): void {
    for (const { stop } of this.#addresses.values()) stop();
    this.#cancelRetry();
  }

  setKeys(keys: ReadonlyMap<Prefix, Secret>): void {
    this.#keys = keys;
    this.#applyKeys();
  }

  #applyKeys(): void {
    const failed = new Map<Prefix, string>();
    for (const [address, listener] of this.#open) {
      const family = ipFamily(address);
      const own = [...this.#keys].filter(([prefix]) => prefixFamily(prefix) === family);
      for (const [prefix, reason] of listener.setKeys(new Map(own))) failed.set(prefix, reason);
    }
    this.#cancelRetry();
    if (failed.size > 0) {
      this.#cancelRetry = this.#deps.clock.setTimer(keyRetryMs, () => this.#applyKeys());
    }
    this.#deps.keysFailed(failed);
  }

  #keepListening(address: IpAddr): Listening {
    const { clock, log, signal } = this.#deps;
    const backoff = new Backoff(listenRetry);
    let stop: () => void = () => undefined;
    const port = new Promise<number>((resolve) => {
      const listen = () => {
        if (signal.aborted) return;
        const where = { address, port: this.#port };
        try {
          const listener = this.#listen(where);
          stop = () => {
            this.#open.delete(address);
            listener.close();
          };
          resolve(listener.port);
        } catch (error) {
          log.warn({ ...where, reason: errorMessage(error) }, "Cannot listen");
          stop = clock.setTimer(backoff.next(), listen);
        }
      };
      listen();
    });
    return { port, stop: () => stop() };
  }

  #listen(where: { readonly address: IpAddr; readonly port: number }): Listener {
    const { log, transport, accepted } = this.#deps;
    const listener = transport.listen(where, accepted);
    log.info({ ...where, port: listener.port }, "Listening");
    this.#open.set(where.address, listener);
    // Before anything else happens: nobody has been let in without a key.
    this.#applyKeys();
    return listener;
  }
}
