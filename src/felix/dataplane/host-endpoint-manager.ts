import type { Chain } from "../../kernel/iptables/model.ts";
import { compareText, getOrCreate } from "../../lib/collections.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { DataplaneUpdate, EndpointTier, LocalHostEndpoint } from "../calc/updates.ts";
import {
  fromHostDispatch,
  type HostInterfaces,
  hostForwardDispatch,
  toHostDispatch,
} from "../rules/dispatch-chains.ts";
import type { EndpointContext } from "../rules/endpoint-chains.ts";
import {
  hostFilterChains,
  hostMangleChains,
  hostRawChains,
} from "../rules/host-endpoint-chains.ts";
import { allInterfaces } from "../rules/names.ts";

/** Addresses of the host by interface, pods' interfaces left out. */
export type HostAddressesByInterface = ReadonlyMap<string, ReadonlySet<IpAddr>>;

/** A host endpoint that has no effect on an interface, or not all of it, and why. */
export interface HostEndpointProblem {
  readonly endpoint: string;
  readonly interfaceName: string;
  /** Another host endpoint that has the interface, or what is not done on all interfaces. */
  readonly reason: string;
}

/** What the rules of one table refer to, besides the chains of host endpoints themselves. */
interface Uses {
  readonly policies: ReadonlySet<string>;
  readonly profiles: ReadonlySet<string>;
}

/**
 * Host endpoints of this node, to the interfaces that each has and their chains (facts 4.11).
 *
 * An interface has one at most: of several that name it or expect one of its addresses, the one whose
 * name sorts first. An interface that is named has its chains before it is there.
 */
export class HostEndpointManager {
  readonly #endpoints = new Map<string, LocalHostEndpoint>();
  /** By interface, or `allInterfaces`: name of the endpoint. */
  #resolved: ReadonlyMap<string, string> = new Map();
  #problems: readonly HostEndpointProblem[] = [];

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "hostEndpoint") return;
    if (update.op === "set") this.#endpoints.set(update.id, update.value);
    else this.#endpoints.delete(update.id);
  }

  /** True when some endpoint is found by an address: then it matters which interface has which. */
  get needsAddresses(): boolean {
    return this.#endpoints.values().some(({ interfaceName }) => interfaceName === undefined);
  }

  expects(address: IpAddr): boolean {
    return this.#endpoints
      .values()
      .some(
        ({ interfaceName, expectedAddresses }) =>
          interfaceName === undefined && expectedAddresses.includes(address),
      );
  }

  /** @returns problems that were not there before, and whether other interfaces have endpoints now. */
  resolve(addresses: HostAddressesByInterface): {
    readonly changed: boolean;
    readonly problems: readonly HostEndpointProblem[];
  } {
    const before = this.#resolved;
    const known = new Set(this.#problems.map(problemText));
    this.#resolveAll(addresses);
    const sameSize = before.size === this.#resolved.size;
    const same = sameSize && [...before].every(([name, id]) => this.#resolved.get(name) === id);
    const problems = this.#problems.filter((problem) => !known.has(problemText(problem)));
    return { changed: !same, problems };
  }

  filterChains(context: EndpointContext): Chain[] {
    const interfaces = this.#interfaces(() => true);
    return [
      ...this.#chains(hostFilterChains, context, interfaces),
      ...fromHostDispatch(interfaces),
      ...toHostDispatch(interfaces),
      ...hostForwardDispatch(interfaces),
    ];
  }

  /** Where an interface's own has no policy before DNAT, that of all interfaces has it, as in Calico. */
  mangleChains(context: EndpointContext): Chain[] {
    const interfaces = this.#interfaces(() => true);
    return [
      ...this.#chains(hostMangleChains, context, interfaces),
      ...fromHostDispatch(this.#interfaces(hasPreDnat)),
      ...toHostDispatch(interfaces, context.config.workloadInterfacePrefixes),
    ];
  }

  /** What is untracked has an interface of its own: that of all interfaces is passed over. */
  rawChains(context: EndpointContext): Chain[] {
    const named = { names: this.#interfaces(hasUntracked).names, all: false };
    return [
      ...this.#chains(hostRawChains, context, named),
      ...fromHostDispatch(named),
      ...toHostDispatch(named),
    ];
  }

  get mangleUses(): Uses {
    const active = this.#active();
    return {
      policies: policiesOf(
        active.flatMap(({ tiers, preDnatTiers }) => [...tiers, ...preDnatTiers]),
      ),
      profiles: new Set(active.flatMap(({ profiles }) => profiles)),
    };
  }

  get rawUses(): Uses {
    const tiers = this.#active().flatMap(({ untrackedTiers }) => untrackedTiers);
    return { policies: policiesOf(tiers), profiles: new Set() };
  }

  #resolveAll(addresses: HostAddressesByInterface): void {
    const claims = new Map<string, string[]>();
    const claim = (name: string, id: string) => getOrCreate(claims, name, () => []).push(id);
    for (const [id, { interfaceName, expectedAddresses }] of this.#endpoints) {
      if (interfaceName === "*") claim(allInterfaces, id);
      else if (interfaceName !== undefined) claim(interfaceName, id);
      else {
        for (const [name, own] of addresses) {
          const expected = expectedAddresses.some((address) => own.has(address));
          if (expected && isPlainName(name)) claim(name, id);
        }
      }
    }
    const resolved = new Map<string, string>();
    const problems: HostEndpointProblem[] = [];
    for (const [interfaceName, ids] of claims) {
      const [winner = "", ...others] = ids.sort(compareText);
      resolved.set(interfaceName, winner);
      const reason = `host endpoint "${winner}" has the interface`;
      for (const endpoint of others) problems.push({ endpoint, interfaceName, reason });
    }
    const ofAll = resolved.get(allInterfaces);
    if (ofAll !== undefined && hasUntracked(this.#endpoints.get(ofAll))) {
      const reason = "doNotTrack policies do not apply to all interfaces";
      problems.push({ endpoint: ofAll, interfaceName: "*", reason });
    }
    this.#resolved = resolved;
    this.#problems = problems;
  }

  #active(): LocalHostEndpoint[] {
    return [...new Set(this.#resolved.values())].flatMap((id) => this.#endpoints.get(id) ?? []);
  }

  #interfaces(wanted: (endpoint: LocalHostEndpoint | undefined) => boolean): HostInterfaces {
    const chosen = [...this.#resolved].filter(([, id]) => wanted(this.#endpoints.get(id)));
    const names = chosen.map(([name]) => name);
    return {
      names: names.filter((name) => name !== allInterfaces),
      all: names.includes(allInterfaces),
    };
  }

  #chains(
    render: (name: string, endpoint: LocalHostEndpoint, context: EndpointContext) => Chain[],
    context: EndpointContext,
    { names, all }: HostInterfaces,
  ): Chain[] {
    return [...names, ...(all ? [allInterfaces] : [])].flatMap((name) => {
      const endpoint = this.#endpoints.get(this.#resolved.get(name) ?? "");
      return endpoint === undefined ? [] : render(name, endpoint, context);
    });
  }
}

/** No rule can name another interface, and one such rule would keep all others out. */
function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][\w.:@-]*$/.test(name);
}

function hasUntracked(endpoint: LocalHostEndpoint | undefined): boolean {
  return endpoint !== undefined && endpoint.untrackedTiers.length > 0;
}

function hasPreDnat(endpoint: LocalHostEndpoint | undefined): boolean {
  return endpoint !== undefined && endpoint.preDnatTiers.length > 0;
}

function policiesOf(tiers: readonly EndpointTier[]): Set<string> {
  return new Set(tiers.flatMap(({ ingress, egress }) => [...ingress, ...egress]));
}

function problemText({ endpoint, interfaceName, reason }: HostEndpointProblem): string {
  return `${endpoint} ${interfaceName} ${reason}`;
}
