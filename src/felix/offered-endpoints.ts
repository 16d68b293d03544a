import { keyText, type ResourceKey } from "../api/resource-key.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Update } from "../datastore/syncer.ts";
import type { Clock } from "../lib/clock.ts";

/** How long the CNI agent's word may stand against the datastore's. */
const standsMs = 10_000;

interface Offer {
  readonly key: ResourceKey<"WorkloadEndpoint">;
  readonly value: WorkloadEndpoint | null;
  /** What the datastore said meanwhile that is not what the agent said. */
  held: Update | undefined;
  readonly cancel: () => void;
}

/**
 * Endpoints as the CNI agent said they are, while the datastore's stream may still tell of older
 * times: the end of the pod's last sandbox must not take away the routes of the present one. The
 * agent's word stands until the datastore says the same, or for 10 s.
 */
export class OfferedEndpoints {
  readonly #clock: Clock;
  readonly #onUpdate: (update: Update) => void;
  readonly #offers = new Map<string, Offer>();

  constructor(clock: Clock, onUpdate: (update: Update) => void) {
    this.#clock = clock;
    this.#onUpdate = onUpdate;
  }

  /** `null`: the endpoint is no more. */
  offer(key: ResourceKey<"WorkloadEndpoint">, value: WorkloadEndpoint | null): void {
    const text = keyText(key);
    this.#offers.get(text)?.cancel();
    const cancel = this.#clock.setTimer(standsMs, () => this.#end(text));
    this.#offers.set(text, { key, value, held: undefined, cancel });
    this.#onUpdate({ key, value });
  }

  /** What the agent said and the datastore has not said yet. */
  standing(): { key: ResourceKey<"WorkloadEndpoint">; value: WorkloadEndpoint | null }[] {
    return [...this.#offers.values()].map(({ key, value }) => ({ key, value }));
  }

  /** What the datastore says of any key. */
  take(update: Update): void {
    const text = keyText(update.key);
    const offer = this.#offers.get(text);
    if (offer === undefined) {
      this.#onUpdate(update);
      return;
    }
    offer.held = update;
    if (isSameSandbox(offer.value, update.value as WorkloadEndpoint | null)) this.#end(text);
  }

  /** Nothing will be said any more. What stands can still be asked for. */
  close(): void {
    for (const { cancel } of this.#offers.values()) cancel();
  }

  #end(text: string): void {
    const offer = this.#offers.get(text);
    this.#offers.delete(text);
    offer?.cancel();
    if (offer?.held !== undefined) this.#onUpdate(offer.held);
  }
}

function isSameSandbox(a: WorkloadEndpoint | null, b: WorkloadEndpoint | null): boolean {
  if (a === null || b === null) return a === b;
  return a.spec.containerID === b.spec.containerID;
}
