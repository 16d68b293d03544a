import { type FelixLayers, felixLayers } from "../api/felix-layers.ts";
import type { FelixConfiguration } from "../api/resources/felix-configuration.ts";
import type { Update } from "../datastore/syncer.ts";

/** What the datastore says of a node's Felix, from what a syncer tells (facts 2.8). */
export class StoredLayers {
  /** What the syncer is to follow: labels of the node choose among the configurations. */
  static readonly kinds = ["FelixConfiguration", "Node"] as const;

  readonly #node: string;
  readonly #configurations = new Map<string, FelixConfiguration>();
  #labels: Readonly<Record<string, string>> = {};

  constructor(node: string) {
    this.#node = node;
  }

  get layers(): FelixLayers {
    const node = { name: this.#node, labels: this.#labels };
    return felixLayers(this.#configurations.values(), node);
  }

  /** @returns whether any of it concerns the node. */
  learn(updates: readonly Update[]): boolean {
    return updates.filter((update) => this.#learnOne(update)).length > 0;
  }

  #learnOne({ key, value }: Update): boolean {
    if (key.kind === "Node") {
      if (key.name === this.#node) this.#labels = value?.metadata.labels ?? {};
      return key.name === this.#node;
    }
    if (value?.kind === "FelixConfiguration") this.#configurations.set(key.name, value);
    else this.#configurations.delete(key.name);
    return true;
  }
}
