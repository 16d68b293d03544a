import type { TimeSlice } from "../../lib/time-slice.ts";
import type { ExportVerdict } from "../policy/export-policy.ts";
import { localPeer } from "../rib/adj-rib-in.ts";
import type { OutRoute } from "../rib/adj-rib-out.ts";
import type { FamilyRib, NumberedPath, Run } from "../rib/family-rib.ts";
import type { BestRoute } from "../rib/loc-rib.ts";
import { type PeerBytes, UpdateGroup } from "../rib/update-group.ts";
import type { EncodeOptions } from "../wire/context.ts";
import {
  type ExportRules,
  type ExportSource,
  type GroupPeers,
  GroupPolicy,
} from "./group-policy.ts";
import { defaultRoute } from "./local-routes.ts";

/** What one group is made of. */
export interface ExportGroupConfig {
  readonly peers: GroupPeers;
  readonly encode: EncodeOptions;
  /** Most paths of a prefix, for peers with ADD-PATH. */
  readonly addPathLimit?: number;
}

/**
 * One update group with its policy. With ADD-PATH (RFC 7911) it is told all paths of a prefix that may
 * be used, best first, each under the number that it has in the Adj-RIB-In; else the best one.
 */
export class ExportGroup {
  readonly updates: UpdateGroup;
  readonly #policy: GroupPolicy;
  readonly #rib: FamilyRib;
  readonly #from: ExportSource;
  readonly #pathLimit: number;
  /** Paths that are told, by prefix; only with ADD-PATH. */
  readonly #told: Map<number, readonly number[]> | undefined;
  /** Prefix ids below are in it. Once all are, every change is. */
  #filledTo = 0;

  constructor(rib: FamilyRib, from: ExportSource, config: ExportGroupConfig) {
    const { table, adjIn } = rib;
    const { attributes } = from;
    this.#rib = rib;
    this.#from = from;
    this.#policy = new GroupPolicy(rib, from, config.peers);
    this.#pathLimit = config.addPathLimit ?? Number.POSITIVE_INFINITY;
    const addPath = config.encode.addPath === true;
    this.#told = addPath ? new Map() : undefined;
    this.updates = new UpdateGroup(config.encode, {
      table,
      attributes,
      ...(addPath ? { prefixOf: (slot: number) => adjIn.prefixAt(slot) } : {}),
    });
    this.updates.isFilled = rib.loc.size === 0;
  }

  /** States what the group is told of a prefix now. */
  export(prefixId: number, best: BestRoute | undefined, rules: ExportRules | undefined): void {
    if (this.#told !== undefined) this.#exportPaths(prefixId, rules, this.#told);
    else if (rules === undefined) this.updates.update(prefixId, 0, 0);
    else if (this.#policy.isDefaultFor(prefixId)) {
      this.updates.update(prefixId, this.#policy.defaultRoute(rules), localPeer);
    } else if (best === undefined) this.updates.update(prefixId, 0, 0);
    else this.updates.update(prefixId, this.#policy.exported(prefixId, best, rules), best.peer);
  }

  /** As `export`, of prefixes with the same best route. */
  exportAll(
    prefixIds: Uint32Array,
    { start, end }: Run,
    best: BestRoute | undefined,
    rules: ExportRules | undefined,
  ): void {
    const isEachAlone =
      this.#told !== undefined || rules === undefined || this.#policy.looksAtPrefixes(rules);
    if (best === undefined || isEachAlone) {
      for (let i = start; i < end; i++) this.export(prefixIds[i] as number, best, rules);
      return;
    }
    const exportedId = this.#policy.exported(prefixIds[start] as number, best, rules);
    if (exportedId !== 0) this.#from.attributes.retain(exportedId, end - start - 1);
    for (let i = start; i < end; i++) {
      this.updates.update(prefixIds[i] as number, exportedId, best.peer);
    }
  }

  /** The default route of `defaultOriginate`: no best route stands for it. */
  exportDefault(rules: ExportRules | undefined): void {
    const prefixId = this.#rib.table.findPrefix(defaultRoute[this.#rib.family]);
    if (prefixId < 0 || !this.#policy.isDefaultFor(prefixId)) return;
    this.export(prefixId, this.#rib.loc.get(prefixId), rules);
  }

  /** What the peers are sent next. A group that is new takes `limit` more prefixes. */
  flush(
    limit: number,
    rules: ExportRules | undefined,
    slice: Pick<TimeSlice, "isOver">,
  ): PeerBytes[] {
    if (!this.updates.isFilled) this.#fill(limit, rules);
    this.#policy.endBatch();
    return this.updates.flush(slice);
  }

  explain(
    prefixId: number,
    best: BestRoute | undefined,
    rules: ExportRules | undefined,
  ): ExportVerdict | "default-originate" | "not-best" {
    if (this.#policy.isDefaultFor(prefixId)) return "default-originate";
    if (best === undefined) return "not-best";
    if (rules === undefined) return { accepted: false, step: "no-rule" };
    return this.#policy.judge(prefixId, best, rules);
  }

  /** What is announced of a prefix to `peer`: of several paths the best. */
  announcedTo(peer: number, prefixId: number): OutRoute | undefined {
    const entries = this.#told === undefined ? [prefixId] : (this.#told.get(prefixId) ?? []);
    for (const entry of entries) {
      const route = this.updates.announces(entry);
      if (route !== undefined && route.source !== peer) return route;
    }
    return undefined;
  }

  #exportPaths(
    prefixId: number,
    rules: ExportRules | undefined,
    told: Map<number, readonly number[]>,
  ): void {
    const before = told.get(prefixId) ?? [];
    const now = rules === undefined ? [] : this.#tellPaths(prefixId, rules);
    for (const slot of before) if (!now.includes(slot)) this.updates.update(slot, 0, 0);
    if (now.length === 0) told.delete(prefixId);
    else told.set(prefixId, now);
  }

  #tellPaths(prefixId: number, rules: ExportRules): number[] {
    if (this.#policy.isDefaultFor(prefixId)) {
      const own = this.#rib.adjIn.paths(prefixId).find(({ peer }) => peer === localPeer);
      if (own === undefined) return [];
      this.updates.update(own.slot, this.#policy.defaultRoute(rules), localPeer);
      return [own.slot];
    }
    const slots: number[] = [];
    for (const { slot, path } of this.#paths(prefixId)) {
      if (slots.length >= this.#pathLimit) break;
      const exportedId = this.#policy.exported(prefixId, path, rules);
      if (exportedId === 0) continue;
      this.updates.update(slot, exportedId, path.peer);
      slots.push(slot);
    }
    return slots;
  }

  #paths(prefixId: number): readonly NumberedPath[] {
    const { forwarding } = this.#from;
    return this.#rib.rankedPaths(prefixId, (stored) =>
      forwarding.judge(this.#rib, prefixId, stored),
    );
  }

  /** Puts the next prefixes of the Loc-RIB into a group that is new. */
  #fill(limit: number, rules: ExportRules | undefined): void {
    const { loc, table } = this.#rib;
    const end = Math.min(this.#filledTo + limit, table.idEnd);
    for (let prefixId = this.#filledTo; prefixId < end; prefixId++) {
      const best = loc.get(prefixId);
      if (best !== undefined) this.export(prefixId, best, rules);
    }
    this.#filledTo = end;
    this.updates.isFilled = end === table.idEnd;
  }
}
