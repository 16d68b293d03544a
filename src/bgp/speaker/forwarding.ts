import type { KernelRoute } from "../../kernel/kernel.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import { type Choice, FibPolicy } from "../fib/desired-routes.ts";
import type { StoredPath } from "../rib/adj-rib-in.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import { type Decision, multipath } from "../rib/decision.ts";
import type { Candidate, FamilyRib } from "../rib/family-rib.ts";
import { NextHops } from "../rib/next-hop.ts";
import { ChangedAttributes } from "./changed-attributes.ts";
import { type JudgeContext, judgePath } from "./judge-path.ts";
import { localPods } from "./local-pods.ts";
import { isDefaultForPeersOnly } from "./local-routes.ts";
import { nextHopView } from "./next-hop-view.ts";
import type { SpeakerPeers } from "./speaker-peers.ts";

const defaultMaxPaths = 16;

/** What of the RIB can be forwarded: which paths are usable, and what the kernel is told of the best. */
export class Forwarding {
  readonly #attributes: AttributeStore;
  readonly #peers: SpeakerPeers;
  readonly #changed: ChangedAttributes;
  #nextHops = new NextHops({ routes: [], ownAddresses: [] });
  #pods: ReadonlySet<Prefix> = new Set();
  #current: { readonly config: SpeakerConfig; readonly policy: FibPolicy } | undefined;
  #judging: JudgeContext | undefined;

  constructor(attributes: AttributeStore, peers: SpeakerPeers) {
    this.#attributes = attributes;
    this.#peers = peers;
    this.#changed = new ChangedAttributes(attributes);
  }

  configure(config: SpeakerConfig): void {
    this.#current = { config, policy: new FibPolicy(config) };
    this.#prepareJudging();
  }

  /** True when a next hop that matters is now reached in another way, or not at all. */
  setNextHops(nextHops: NextHops): boolean {
    const agree = this.#nextHops.agreesWith(nextHops);
    this.#nextHops = nextHops;
    this.#pods = localPods(nextHops.source);
    this.#prepareJudging();
    return !agree;
  }

  /** Addresses of pods of this node: their routes are felix', whoever else announces them. */
  get pods(): ReadonlySet<Prefix> {
    return this.#pods;
  }

  /**
   * What a stored path is worth now. Ids of attributes that import policy has changed are valid until
   * `endBatch`.
   */
  judge(rib: FamilyRib, prefixId: number, stored: StoredPath): Candidate {
    if (this.#judging === undefined) return { rejected: "not-configured" };
    const at = { prefixes: rib.table.packed, index: prefixId };
    return judgePath(stored, this.#peers.numbered(stored.peer), at, this.#judging);
  }

  /** All that was decided is in the Loc-RIB. */
  endBatch(): void {
    this.#changed.endBatch();
  }

  /** Name of the interface to a next hop. */
  interfaceOf(nextHop: IpAddr): string | undefined {
    return this.#nextHops.interfaceOf(nextHop);
  }

  /** The kernel's route by a decision, or why it gets none of us. */
  kernelRoute(rib: FamilyRib, prefixId: number, decision: Decision): KernelRoute | string {
    const choice = this.#choiceOf(decision);
    if (choice === undefined || this.#current === undefined) return "no-route";
    const at = { prefixes: rib.table.packed, index: prefixId };
    const prefix = rib.table.prefixAt(prefixId);
    // LocalWorkload is the first class of a conflict (facts 4.8).
    if (choice.kind === "learned" && this.#pods.has(prefix)) return "local-pod";
    return this.#current.policy.routeTo(prefix, at, choice);
  }

  /** True for a route of an earlier run that the RIB may still come to want. */
  mayWant(route: KernelRoute): boolean {
    return this.#current?.policy.mayKeep(route) === true;
  }

  /** True for a route of an earlier run in whose place felix puts one. */
  isHandedOver(route: KernelRoute): boolean {
    return this.#current?.policy.isHandedOver(route) === true;
  }

  #prepareJudging(): void {
    if (this.#current === undefined) return;
    const { config } = this.#current;
    this.#judging = {
      config,
      attributes: this.#attributes,
      changed: this.#changed,
      nextHops: nextHopView(config, this.#nextHops),
      defaultForPeersOnly: ([4, 6] as const).filter((family) =>
        isDefaultForPeersOnly(config, family),
      ),
    };
  }

  #choiceOf(decision: Decision): Choice | undefined {
    const { best } = decision;
    if (best === undefined) return undefined;
    if (best.local) return { kind: "local" };
    const maxPaths = this.#current?.config.maxPaths ?? defaultMaxPaths;
    const nextHops = multipath(decision, maxPaths).flatMap(({ attributesId }) => {
      const { nextHop } = this.#attributes.get(attributesId);
      if (nextHop === undefined) return [];
      const resolved = this.#nextHops.resolve(nextHop);
      return resolved === undefined ? [] : [{ ...resolved, nextHop }];
    });
    return { kind: "learned", nextHops, tunnelIfindex: this.#nextHops.tunnelIfindex };
  }
}
