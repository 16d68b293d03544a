import type { ResourceKey } from "../../../../src/api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../../../src/api/resource-of-kind.ts";
import {
  type Datastore,
  DatastoreError,
  type ResourceList,
  type WatchEvent,
  type Write,
} from "../../../../src/datastore/datastore.ts";
import type { Clock } from "../../../../src/lib/clock.ts";
import type { FakeClock } from "../../../support/fake-clock.ts";
import type { SeededRandom } from "./random.ts";
import type { SimStore } from "./store.ts";

/** One process: when it is dead, nothing of it goes on, and nobody hears of it again. */
export interface SimProcess {
  dead: boolean;
  /** How far its wall clock is wrong. */
  readonly clockErrorMs: number;
  /** It dies here if the network says so; a process without this is never killed. */
  readonly onCrash?: () => void;
}

/** Chance of each, for one call. */
export interface Faults {
  /** The request never arrives, or arrives and its answer does not. */
  readonly lost: number;
  /** The caller hears of a failure, and the write takes place later. */
  readonly late: number;
  /** The process dies just before or just after its write. */
  readonly crash: number;
}

export const noFaults: Faults = { lost: 0, late: 0, crash: 0 };

interface Call {
  readonly process: SimProcess;
  readonly write: WrittenKey | undefined;
  act(): unknown;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

type WrittenKey = ResourceKey & { readonly isNeverLate?: boolean };

const longestDelayMs = 30_000;

export interface NetworkPorts {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly driver: Driver;
}

/**
 * What several objects may be written in: one write that is never late, as the embedded store's; one that creates
 * them, as etcd's; none, as in Kubernetes.
 */
export type Driver = "embedded" | "etcd" | "kubernetes";

/**
 * Carries datastore calls, one at a time, in an order that follows from the seed: between any two
 * calls of a process, calls of the others take place. Time passes a little with each.
 */
export class SimNetwork {
  faults: Faults = noFaults;
  calls = 0;
  readonly store: SimStore;
  readonly #clock: FakeClock;
  readonly #random: SeededRandom;
  readonly #driver: Driver;
  readonly #pending: Call[] = [];

  constructor(store: SimStore, { clock, random, driver }: NetworkPorts) {
    this.store = store;
    this.#driver = driver;
    this.#clock = clock;
    this.#random = random;
  }

  /** Everything that happens until the time, in order. */
  async runUntil(endMs: number): Promise<void> {
    while (this.#clock.now() < endMs) {
      const call = this.#take();
      if (call === undefined) this.#clock.advanceToTimer(endMs);
      else {
        this.#carry(call);
        this.#clock.advance(this.#random.below(4));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #take(): Call | undefined {
    const index = this.#random.below(this.#pending.length);
    const last = this.#pending.pop();
    if (last === undefined || index === this.#pending.length) return last;
    const taken = this.#pending[index];
    this.#pending[index] = last;
    return taken;
  }

  #carry(call: Call): void {
    const { process } = call;
    if (process.dead) {
      // What was on its way when the process died arrives, or does not.
      if (call.write !== undefined && this.#random.chance(0.5)) attempt(call, () => undefined);
      return;
    }
    this.calls++;
    const dice = this.#random.next();
    const { lost, late, crash } = this.faults;
    const unreachable = new DatastoreError("Cannot reach the server", { code: "unavailable" });
    if (dice < lost) {
      if (this.#random.chance(0.5)) attempt(call, () => undefined);
      call.reject(unreachable);
    } else if (dice < lost + late && mayBeLate(call.write)) {
      const delayMs = this.#random.below(longestDelayMs);
      this.#clock.setTimer(delayMs, () => attempt(call, () => undefined));
      call.reject(unreachable);
    } else if (dice > 1 - crash && call.write !== undefined && process.onCrash !== undefined) {
      if (this.#random.chance(0.5)) attempt(call, () => undefined);
      process.dead = true;
      process.onCrash();
    } else attempt(call, call.resolve, call.reject);
  }

  /** The datastore as one process sees it. */
  datastoreOf(process: SimProcess): Datastore {
    const submit = <Result>(write: WrittenKey | undefined, act: () => unknown): Promise<Result> =>
      new Promise<unknown>((resolve, reject) => {
        this.#pending.push({ process, write, act, resolve, reject });
      }) as Promise<Result>;
    const { store } = this;
    const keyed = (resource: AnyResource) =>
      ({ ...resource.metadata, kind: resource.kind }) as ResourceKey;
    const together = (writes: readonly Write[]) => {
      const isNeverLate = this.#driver === "embedded";
      const key = { ...keyed(writes[0]?.resource as AnyResource), isNeverLate };
      return submit<readonly ResourceOfKind[Kind][]>(key, () => store.writeAll(writes));
    };
    const createAll = (resources: readonly ResourceOfKind[Kind][]) =>
      together(resources.map((resource) => ({ verb: "create", resource })));
    const names = (kind: Kind) =>
      submit<readonly string[]>(undefined, () =>
        store.list(kind).map((each) => each.metadata.name),
      );
    const abilities = {
      embedded: { writeAll: together, createAll },
      etcd: { createAll, names },
      kubernetes: {},
    };
    return {
      get: (key) => submit(undefined, () => store.get(key)),
      list: <K extends Kind>(kind: K) =>
        submit<ResourceList<ResourceOfKind[K]>>(undefined, () => ({
          items: store.list(kind),
          revision: store.revision,
        })),
      create: (resource) => {
        const written = resource as AnyResource;
        return submit(keyed(written), () => store.create(written));
      },
      update: (resource) => {
        const written = resource as AnyResource;
        return submit(keyed(written), () => store.update(written));
      },
      delete: (key, version) => submit(key, () => store.delete(key, version)),
      ...abilities[this.#driver],
      watch: (_kinds, _revision, signal) => silence(signal),
      close: async () => undefined,
    };
  }

  clockOf(process: SimProcess): Clock {
    const clock = this.#clock;
    const whenAlive = (act: () => void) => () => {
      if (!process.dead) act();
    };
    return {
      now: () => clock.now(),
      date: () => new Date(clock.date().getTime() + process.clockErrorMs),
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, whenAlive(callback)),
      sleep: (delayMs, signal) =>
        new Promise((resolve, reject) => {
          clock.sleep(delayMs, signal).then(whenAlive(resolve), reject);
        }),
    };
  }
}

/**
 * A late write of an endpoint is left out: it makes an endpoint of a pod that is gone, which no IPAM
 * can prevent, and which `ipam check` finds.
 */
function mayBeLate(write: WrittenKey | undefined): boolean {
  if (write === undefined || write.isNeverLate === true) return false;
  return write.kind !== "WorkloadEndpoint";
}

function attempt(
  call: Call,
  resolve: (result: unknown) => void,
  reject: (error: unknown) => void = () => undefined,
): void {
  let result: unknown;
  try {
    result = call.act();
  } catch (error) {
    reject(error);
    return;
  }
  resolve(result);
}

/** A watch that has nothing to tell. Who relies on it finds changes at its next look. */
async function* silence(signal: AbortSignal): AsyncIterable<WatchEvent> {
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  yield* [];
}
