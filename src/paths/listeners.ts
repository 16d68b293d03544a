import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import type { PeerBook } from "./peers.ts";
import type { Responder } from "./responder.ts";
import { serveTransfers } from "./transfer.ts";
import { UdpEndpoint } from "./udp-endpoint.ts";

export interface ListenerDeps {
  readonly port: number;
  readonly peers: PeerBook;
  readonly responder: Responder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Somebody else may have the port for a while. */
const retryMs = 10_000;

/** What answers at this node's own addresses, and at no other. */
export class Listeners {
  readonly #deps: ListenerDeps;
  readonly #open = new Map<IpAddr, { close(): Promise<void> }>();
  #cancelRetry: () => void = () => undefined;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** From now on it is these addresses; one that cannot be had is tried again. */
  listenAt(addresses: readonly IpAddr[]): void {
    this.#cancelRetry();
    for (const [address, listener] of this.#open) {
      if (addresses.includes(address)) continue;
      this.#open.delete(address);
      void listener.close();
    }
    for (const address of addresses) {
      if (this.#open.has(address)) continue;
      try {
        this.#open.set(address, this.#listen(address));
      } catch (error) {
        const reason = errorMessage(error);
        this.#deps.log.warn({ address, reason }, "path checks are not answered");
      }
    }
    if (addresses.every((address) => this.#open.has(address))) return;
    this.#cancelRetry = this.#deps.clock.setTimer(retryMs, () => this.listenAt(addresses));
  }

  async close(): Promise<void> {
    this.#cancelRetry();
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map((listener) => listener.close()));
  }

  #listen(address: IpAddr): { close(): Promise<void> } {
    const { responder, port } = this.#deps;
    const endpoint = new UdpEndpoint(
      { address, port, freebind: true, takesUnchecked: true },
      {
        datagram: async (bytes, from) => {
          const answer = await responder.answerTo(bytes, from.address).catch(() => undefined);
          if (answer !== undefined) await endpoint.send(answer, from);
        },
      },
    );
    const stop = new AbortController();
    const transfers = serveTransfers({ ...this.#deps, address })(stop.signal);
    return {
      close: async () => {
        stop.abort();
        endpoint.close();
        await transfers;
      },
    };
  }
}
