import type { Clock } from "../../lib/clock.ts";
import { type Collection, collectionPath } from "./collections.ts";
import { UnknownKindError } from "./kube-error.ts";
import type { KubeHttp } from "./kube-http.ts";

export interface OptionalPorts {
  readonly http: KubeHttp;
  readonly clock: Clock;
  /** How often a server is asked whether it has a collection by now. */
  readonly askMs: number;
}

/** Which collections that a server need not have were not there when they were last listed. */
export class OptionalCollections {
  readonly #ports: OptionalPorts;
  readonly #absent = new Set<Collection>();

  constructor(ports: OptionalPorts) {
    this.#ports = ports;
  }

  isAbsent(collection: Collection): boolean {
    return this.#absent.has(collection);
  }

  /** What `list` gives; undefined when the server does not have the collection and need not. */
  async listed<List>(collection: Collection, list: () => Promise<List>): Promise<List | undefined> {
    try {
      const result = await list();
      this.#absent.delete(collection);
      return result;
    } catch (error) {
      if (collection.optional !== true || !(error instanceof UnknownKindError)) throw error;
      this.#absent.add(collection);
      return undefined;
    }
  }

  /** Resolves to true when the server has the collection, or to false when `signal` aborts before. */
  async appears(collection: Collection, signal: AbortSignal): Promise<boolean> {
    const { http, clock, askMs } = this.#ports;
    const asked = { verb: "list", collection } as const;
    for (;;) {
      // It was not there a moment ago.
      await clock.sleep(askMs, signal).catch(() => undefined);
      if (signal.aborted) return false;
      try {
        const body = await http.stream(`${collectionPath(collection)}?limit=1`, asked, signal);
        body.destroy();
        return true;
      } catch {
        // Not there yet. Whether the server is well, the other watches see.
      }
    }
  }
}
