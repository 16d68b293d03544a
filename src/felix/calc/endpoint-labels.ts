import type { Profile } from "../../api/resources/policy.ts";
import { getOrCreate } from "../../lib/collections.ts";
import type { Labels } from "./label-index.ts";
import type { Selectable } from "./selectable.ts";

type Inheriting = Pick<Selectable, "labels" | "profiles">;

/**
 * Labels of every endpoint and network set: its own over those that its profiles apply, an earlier
 * profile's over a later one's (facts 4.2). Tells which ones' labels a change of a profile may have
 * changed.
 */
export class EndpointLabels<Endpoint extends Inheriting> {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #profileLabels = new Map<string, Readonly<Record<string, string>>>();
  readonly #endpointsOfProfile = new Map<string, Set<string>>();

  /** Of all endpoints and network sets. */
  ids(): IterableIterator<string> {
    return this.#endpoints.keys();
  }

  endpointOf(id: string): Endpoint | undefined {
    return this.#endpoints.get(id);
  }

  setEndpoint(id: string, endpoint: Endpoint | null): void {
    for (const profile of this.#endpoints.get(id)?.profiles ?? []) {
      this.#endpointsOfProfile.get(profile)?.delete(id);
    }
    if (endpoint === null) {
      this.#endpoints.delete(id);
      return;
    }
    this.#endpoints.set(id, endpoint);
    for (const profile of endpoint.profiles) {
      getOrCreate(this.#endpointsOfProfile, profile, () => new Set<string>()).add(id);
    }
  }

  /** @returns the endpoints that inherit from the profile. */
  setProfile(name: string, profile: Profile | null): ReadonlySet<string> {
    if (profile === null) this.#profileLabels.delete(name);
    else this.#profileLabels.set(name, profile.spec.labelsToApply ?? {});
    return this.#endpointsOfProfile.get(name) ?? new Set();
  }

  /** As they are now: a later change of a profile does not change them. */
  labelsOf(id: string): Labels {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return new InheritedLabels([]);
    const records = [endpoint.labels];
    for (const profile of endpoint.profiles) {
      const inherited = this.#profileLabels.get(profile);
      if (inherited !== undefined) records.push(inherited);
    }
    return new InheritedLabels(records);
  }
}

type LabelRecord = Readonly<Record<string, string>>;

/** Labels where they are already: a Map for each of a quarter of a million endpoints was 120 MB. */
class InheritedLabels implements Labels {
  /** An earlier one wins. */
  readonly #records: readonly LabelRecord[];

  constructor(records: readonly LabelRecord[]) {
    this.#records = records;
  }

  get(label: string): string | undefined {
    return this.#find(label, this.#records.length);
  }

  forEach(callback: (value: string, label: string) => void): void {
    for (let at = 0; at < this.#records.length; at++) {
      const record = this.#records[at] ?? {};
      for (const label of Object.keys(record)) {
        if (this.#find(label, at) === undefined) callback(record[label] ?? "", label);
      }
    }
  }

  /** In the first `count` records. What every object inherits is no text. */
  #find(label: string, count: number): string | undefined {
    for (let at = 0; at < count; at++) {
      const value: unknown = this.#records[at]?.[label];
      if (typeof value === "string") return value;
    }
    return undefined;
  }
}
