import { isDeepStrictEqual } from "node:util";
import { type PolicyIdentity, policyIdentity } from "../../api/policy-identity.ts";
import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { EndpointSlice } from "../../api/resources/kubernetes.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../api/resources/network-set.ts";
import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  Profile,
  Tier,
} from "../../api/resources/policy.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { all, not } from "../../api/selector/ast.ts";
import { policySelector } from "../../api/selector/scope.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { type Slice, unlimited } from "../../lib/time-slice.ts";
import { EndpointLabels } from "./endpoint-labels.ts";
import { IpSetMembers } from "./ip-set-members.ts";
import { LabelIndex, type LabelIndexSizes } from "./label-index.ts";
import { localEndpoint, localHostEndpoint } from "./local-endpoint.ts";
import {
  hostEndpointTiers,
  type OrderedPolicy,
  orderedPolicy,
  workloadTiers,
} from "./policy-order.ts";
import { denyAll, type ScannedRules, scanRules } from "./rule-scanner.ts";
import {
  hostEndpointSelectable,
  networkSetSelectable,
  type Selectable,
  workloadSelectable,
} from "./selectable.ts";
import type { DataplaneUpdate, LocalEndpoint, UpdateKind } from "./updates.ts";

export type Policy = NetworkPolicy | GlobalNetworkPolicy;
type Endpoint = WorkloadEndpoint | HostEndpoint;
export type Emit = (update: DataplaneUpdate) => void;

interface ActiveRules {
  /** What they are the rules of: another version of it is another object. */
  readonly source: KnownPolicy | Pick<Profile, "spec"> | undefined;
  /** Under which the dataplane knows it. */
  readonly updateId: string;
  readonly ingress: ScannedRules;
  readonly egress: ScannedRules;
}

interface KnownPolicy {
  readonly policy: Policy;
  readonly identity: PolicyIdentity;
  readonly ordered: OrderedPolicy;
}

/** How much a graph holds: of the cluster, and of what its node needs. */
export interface PolicyGraphSizes {
  readonly hostEndpoints: number;
  readonly workloadEndpoints: number;
  readonly policies: number;
  readonly profiles: number;
  readonly tiers: number;
  readonly local: { readonly endpoints: number; readonly policies: number };
  /** Policies by the local endpoints, and IP sets by everything that can be a member. */
  readonly indexes: readonly LabelIndexSizes[];
}

/**
 * Policies, profiles and endpoints, to what the local endpoints need of them.
 *
 * ```
 * policies ─ selectors ─► LabelIndex ◄─ labels ─ local endpoints      which policies are active
 * active rules ─ scanRules ─► IP set references ─► IpSetMembers ◄─ all endpoints, network sets, slices
 * ```
 *
 * Changes mark what they touch; `flush` computes it once, from what is there then: the output depends
 * on the present state, never on how it came about. `work` computes part of it.
 */
export class PolicyGraph {
  readonly #nodeName: string;
  readonly #emit: Emit;
  readonly #labels = new EndpointLabels<Selectable>();
  /** Those of this node: of the others, what selectors select is enough. */
  readonly #endpoints = new Map<string, Endpoint>();
  /** Workloads of this node as the dataplane has them: who changes nothing of one does not touch it. */
  readonly #told = new Map<string, LocalEndpoint>();
  readonly #policies = new Map<string, KnownPolicy>();
  readonly #profiles = new Map<string, Profile>();
  readonly #tiers = new Map<string, Tier>();
  readonly #active = new Map<string, ActiveRules>();
  readonly #usersOfProfile = new Map<string, Set<string>>();
  readonly #matches: LabelIndex;
  readonly #sets: IpSetMembers;
  /** Endpoints and network sets whose labels or content may be others. */
  readonly #unlabelled = new Set<string>();
  readonly #dirtyEndpoints = new Set<string>();
  readonly #dirtyPolicies = new Set<string>();
  readonly #dirtyProfiles = new Set<string>();

  constructor(nodeName: string, emit: Emit) {
    this.#nodeName = nodeName;
    this.#emit = emit;
    this.#matches = new LabelIndex((policyId, endpointId) => {
      this.#dirtyPolicies.add(policyId);
      this.#dirtyEndpoints.add(endpointId);
    });
    this.#sets = new IpSetMembers(emit);
  }

  /** Walks over the endpoints. */
  sizes(): PolicyGraphSizes {
    let [hostEndpoints, workloadEndpoints, activePolicies] = [0, 0, 0];
    for (const id of this.#active.keys()) if (id.startsWith("policy ")) activePolicies++;
    for (const id of this.#labels.ids()) {
      if (id.startsWith(hostEndpointPrefix)) hostEndpoints++;
      // Ids of network sets are keys, which begin with their kind.
      else if (!/^(Global)?NetworkSet/.test(id)) workloadEndpoints++;
    }
    return {
      hostEndpoints,
      workloadEndpoints,
      policies: this.#policies.size,
      profiles: this.#profiles.size,
      tiers: this.#tiers.size,
      local: { endpoints: this.#endpoints.size, policies: activePolicies },
      indexes: [this.#matches.sizes, this.#sets.indexSizes],
    };
  }

  setEndpoint(id: string, endpoint: WorkloadEndpoint | null): void {
    this.#setEndpoint(id, endpoint, endpoint === null ? null : workloadSelectable(endpoint));
  }

  setHostEndpoint(name: string, endpoint: HostEndpoint | null): void {
    const selectable = endpoint === null ? null : hostEndpointSelectable(endpoint);
    this.#setEndpoint(`${hostEndpointPrefix}${name}`, endpoint, selectable);
  }

  /** `key` is the resource's. */
  setNetworkSet(key: string, set: NetworkSet | GlobalNetworkSet | null): void {
    this.#setSelectable(key, set === null ? null : networkSetSelectable(set));
  }

  setEndpointSlice(key: string, slice: EndpointSlice | null): void {
    this.#sets.setEndpointSlice(key, slice);
  }

  setProfile(name: string, profile: Profile | null): void {
    if (profile === null) this.#profiles.delete(name);
    else this.#profiles.set(name, profile);
    this.#dirtyProfiles.add(name);
    for (const id of this.#labels.setProfile(name, profile)) this.#unlabelled.add(id);
  }

  /** `key` is the resource's: the same for every version of one policy. */
  setPolicy(key: string, policy: Policy | null): void {
    // Of who is matched anew, or no more, the index tells.
    for (const endpoint of this.#matches.itemsOf(key)) this.#dirtyEndpoints.add(endpoint);
    this.#dirtyPolicies.add(key);
    if (policy === null) {
      this.#policies.delete(key);
      this.#matches.removeSelector(key);
      return;
    }
    const identity = policyIdentity(policy);
    this.#policies.set(key, { policy, identity, ordered: orderedPolicy(policy, identity) });
    this.#matches.setSelector(key, selectorOf(policy));
  }

  setTier(name: string, tier: Tier | null): void {
    if (tier === null) this.#tiers.delete(name);
    else this.#tiers.set(name, tier);
    for (const [key, { identity }] of this.#policies) {
      if (identity.tier !== name) continue;
      for (const endpoint of this.#matches.itemsOf(key)) this.#dirtyEndpoints.add(endpoint);
    }
  }

  /**
   * Does part of what `flush` would do. Each step goes by what those before it have found: so it goes
   * on only when nothing of them is left.
   *
   * @returns whether what is left is little.
   */
  work(slice: Slice): boolean {
    return (
      drain(this.#unlabelled, slice, (id) => this.#relabel(id)) &&
      this.#matches.work(slice) &&
      drain(this.#dirtyPolicies, slice, (key) => this.#flushPolicy(key)) &&
      drain(this.#dirtyProfiles, slice, (name) => this.#flushProfile(name)) &&
      this.#sets.work(slice) &&
      drain(this.#dirtyEndpoints, slice, (id) => this.#flushEndpoint(id))
    );
  }

  flush(): void {
    this.work(unlimited);
    this.#sets.flush();
  }

  #relabel(id: string): void {
    const labels = this.#labels.labelsOf(id);
    this.#sets.setSelectable(id, this.#labels.endpointOf(id) ?? null, labels);
    if (this.#endpoints.has(id)) this.#matches.setItem(id, labels);
    else this.#matches.removeItem(id);
  }

  #setEndpoint(id: string, endpoint: Endpoint | null, selectable: Selectable | null): void {
    const before = this.#endpoints.get(id);
    const after = endpoint?.spec.node === this.#nodeName ? endpoint : undefined;
    if (after === undefined) this.#endpoints.delete(id);
    else this.#endpoints.set(id, after);
    this.#setSelectable(id, selectable);
    if (before === undefined && after === undefined) return;
    this.#countProfiles(id, before, after);
    this.#dirtyEndpoints.add(id);
  }

  #setSelectable(id: string, selectable: Selectable | null): void {
    this.#labels.setEndpoint(id, selectable);
    this.#unlabelled.add(id);
  }

  #countProfiles(id: string, before: Endpoint | undefined, after: Endpoint | undefined): void {
    for (const profile of before?.spec.profiles ?? []) {
      this.#dirtyProfiles.add(profile);
      const users = this.#usersOfProfile.get(profile);
      users?.delete(id);
      if (users?.size === 0) this.#usersOfProfile.delete(profile);
    }
    for (const profile of after?.spec.profiles ?? []) {
      this.#dirtyProfiles.add(profile);
      getOrCreate(this.#usersOfProfile, profile, () => new Set<string>()).add(id);
    }
  }

  #flushPolicy(key: string): void {
    const known = this.#policies.get(key);
    const active = known !== undefined && this.#matches.hasMatches(key);
    const id = `policy ${key}`;
    if (!active) {
      this.#deactivate(id, "policy");
      return;
    }
    // Who it selects is others' affair.
    if (this.#active.get(id)?.source === known) return;
    const { policy, identity, ordered } = known;
    const namespace = policy.metadata.namespace;
    const rules = this.#activate(id, {
      source: known,
      updateId: identity.id,
      ingress: scanRules(ordered.ingress ? (policy.spec.ingress ?? []) : [], namespace),
      egress: scanRules(ordered.egress ? (policy.spec.egress ?? []) : [], namespace),
    });
    this.#emit({
      op: "set",
      kind: "policy",
      id: identity.id,
      value: {
        tier: identity.tier,
        shortKind: identity.shortKind,
        ...(identity.namespace === undefined ? {} : { namespace: identity.namespace }),
        name: identity.name,
        selector: policy.spec.selector ?? "all()",
        types: [
          ...(ordered.ingress ? (["Ingress"] as const) : []),
          ...(ordered.egress ? (["Egress"] as const) : []),
        ],
        ...rules,
      },
    });
  }

  #flushProfile(name: string): void {
    const id = `profile ${name}`;
    if ((this.#usersOfProfile.get(name)?.size ?? 0) === 0) {
      this.#deactivate(id, "profile");
      return;
    }
    const profile = this.#profiles.get(name) ?? builtInProfiles.get(name);
    const active = this.#active.get(id);
    if (active !== undefined && active.source === profile) return;
    // A profile that is not there allows nothing (facts 4.2).
    const value =
      profile === undefined
        ? this.#activate(id, {
            source: profile,
            updateId: name,
            ingress: onlyDeny,
            egress: onlyDeny,
          })
        : this.#activate(id, {
            source: profile,
            updateId: name,
            ingress: scanRules(profile.spec.ingress ?? [], undefined),
            egress: scanRules(profile.spec.egress ?? [], undefined),
          });
    this.#emit({ op: "set", kind: "profile", id: name, value });
  }

  /** New references are added before old ones go: a set that both use stays as it is. */
  #activate(id: string, rules: ActiveRules) {
    const before = this.#active.get(id);
    this.#active.set(id, rules);
    for (const { sets } of [rules.ingress, rules.egress]) {
      for (const [set, source] of sets) this.#sets.addReference(set, source);
    }
    this.#release(before);
    return { ingress: rules.ingress.rules, egress: rules.egress.rules };
  }

  #deactivate(id: string, kind: UpdateKind): void {
    const before = this.#active.get(id);
    if (before === undefined) return;
    this.#active.delete(id);
    this.#release(before);
    this.#emit({ op: "remove", kind, id: before.updateId });
  }

  #release(rules: ActiveRules | undefined): void {
    if (rules === undefined) return;
    for (const { sets } of [rules.ingress, rules.egress]) {
      for (const set of sets.keys()) this.#sets.removeReference(set);
    }
  }

  #flushEndpoint(id: string): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) {
      // An id tells of which kind it was; what was never set is not removed.
      const host = id.startsWith(hostEndpointPrefix);
      const ofKind = host ? id.slice(hostEndpointPrefix.length) : id;
      this.#told.delete(id);
      this.#emit({ op: "remove", kind: host ? "hostEndpoint" : "workloadEndpoint", id: ofKind });
      return;
    }
    const policies = [...this.#matches.selectorsOf(id)].flatMap(
      (key) => this.#policies.get(key)?.ordered ?? [],
    );
    if (endpoint.kind === "HostEndpoint") {
      const tiers = hostEndpointTiers(policies, this.#tiers);
      const value = localHostEndpoint(endpoint, tiers);
      this.#emit({ op: "set", kind: "hostEndpoint", id: endpoint.metadata.name, value });
    } else {
      const value = localEndpoint(endpoint, workloadTiers(policies, this.#tiers));
      if (isDeepStrictEqual(value, this.#told.get(id))) return;
      this.#told.set(id, value);
      this.#emit({ op: "set", kind: "workloadEndpoint", id, value });
    }
  }
}

/** @returns whether all were taken. */
function drain(ids: Set<string>, slice: Slice, take: (id: string) => void): boolean {
  for (const id of ids) {
    ids.delete(id);
    take(id);
    if (slice.isOver) return false;
  }
  return true;
}

/** Ids of workloads begin with a namespace, or with the "/" after none. */
const hostEndpointPrefix = "HostEndpoint ";

/** Profiles that need not be in the datastore (facts 2.5). Host endpoints that nobody wrote have it. */
const builtInProfiles: ReadonlyMap<string, Pick<Profile, "spec">> = new Map([
  [
    "projectcalico-default-allow",
    { spec: { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] } },
  ],
]);

const onlyDeny: ScannedRules = { rules: [denyAll], sets: new Map() };

/** A selector that cannot be parsed selects nothing: validation told its author. */
function selectorOf(policy: Policy) {
  try {
    return policySelector(policy);
  } catch {
    return not(all);
  }
}
