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

  labelsOf(id: string): Labels {
    const endpoint = this.#endpoints.get(id);
    const labels = new Map<string, string>();
    if (endpoint === undefined) return labels;
    for (let i = endpoint.profiles.length - 1; i >= 0; i--) {
      put(labels, this.#profileLabels.get(endpoint.profiles[i] ?? ""));
    }
    put(labels, endpoint.labels);
    return labels;
  }
}

/** By keys: pairs of them are a quarter of a million arrays. */
function put(labels: Map<string, string>, from: Readonly<Record<string, string>> = {}): void {
  for (const label of Object.keys(from)) labels.set(label, from[label] ?? "");
}
