import { keyOf, type ResourceKey } from "../api/resource-key.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Felix } from "./felix-service.ts";

type EndpointKey = ResourceKey<"WorkloadEndpoint">;
type Behind = Pick<
  Felix,
  "offerEndpoint" | "withdrawEndpoint" | "endpointProgrammed" | "standingOffers" | "ready"
>;

/**
 * The door by which the CNI agent comes to felix. Behind it is another Felix after each change of the
 * configuration; who waits at the door does not notice.
 */
export class FelixDoor {
  #present: Behind | undefined;
  /** Aborts when another Felix comes. */
  #replaced = new AbortController();
  readonly #ready = Promise.withResolvers<void>();

  /** Resolves when the kernel was made right for the first time. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** What the agent said, and the datastore not yet, goes on to the next Felix. */
  open(next: Behind): void {
    for (const { key, value } of this.#present?.standingOffers() ?? []) {
      if (value === null) next.withdrawEndpoint(key);
      else next.offerEndpoint(value);
    }
    this.#present = next;
    void next.ready.then(() => this.#ready.resolve());
    this.#replaced.abort();
    this.#replaced = new AbortController();
  }

  offerEndpoint(endpoint: WorkloadEndpoint): void {
    this.#behind(keyOf(endpoint)).offerEndpoint(endpoint);
  }

  withdrawEndpoint(key: EndpointKey): void {
    this.#behind(key).withdrawEndpoint(key);
  }

  /** Resolves when the endpoint's routes and policy are in the kernel; rejects as `signal` says. */
  async endpointProgrammed(key: EndpointKey, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { signal: replaced } = this.#replaced;
      try {
        await this.#behind(key).endpointProgrammed(key, AbortSignal.any([signal, replaced]));
        return;
      } catch (error) {
        if (signal.aborted || !replaced.aborted) throw error;
      }
    }
  }

  #behind(key: EndpointKey): Behind {
    if (this.#present !== undefined) return this.#present;
    throw new Error(`Cannot take endpoint ${key.name}: felix is not there yet`);
  }
}
