import { electedLeaseSeconds, electedNodeOf, establishedOf } from "../../api/elected-reflectors.ts";
import type { Lease } from "../../api/resources/kubernetes.ts";
import type { Millis } from "../../lib/clock.ts";
import { isCovered, type Reports, type SessionReport } from "./coverage.ts";
import type { ElectionPlan, ElectionTimes } from "./election-plan.ts";
import type { ElectionView } from "./election-view.ts";

const never = Number.NEGATIVE_INFINITY;
/** An elected node that has told nothing after this long is of no use, */
const silentMs = 180_000;
/** and for so long it is not elected again. */
const unfitMs = 600_000;

/** What was last seen of a Lease, and since when it is so. */
interface Sighting {
  readonly version: string | undefined;
  readonly since: number;
}

/** An elected node, since it is seen as one. */
interface Term {
  readonly since: number;
  /** Version of the Lease that it had before. */
  readonly before: string | undefined;
}

/**
 * What the controller has seen, and when, by its own clock: nobody's clocks are compared. All of it may be lost at any
 * time: then times begin anew. Nothing is less safe: reflectors that have failed are only trusted again earlier.
 */
export class ElectionMemory {
  readonly #sightings = new Map<string, Sighting>();
  readonly #terms = new Map<string, Term>();
  readonly #uncoveredSince = new Map<string, number>();
  readonly #unfitUntil = new Map<string, number>();
  #meshOnSince = Number.POSITIVE_INFINITY;
  #changedAt: number;
  #fellBackAt = never;

  constructor(now: Millis) {
    this.#changedAt = now;
  }

  /** What the datastore says now, with the Leases of elected nodes. */
  observe(view: ElectionView, leases: readonly Lease[], now: Millis): ElectionTimes {
    const elected = view.nodes.filter(({ isElected }) => isElected).map(({ name }) => name);
    const reports = this.#reports(elected, leases, now);
    this.#observeFit(reports, now);
    if (view.mesh === "off" || view.mesh === "off by us") {
      this.#meshOnSince = Number.POSITIVE_INFINITY;
    } else this.#meshOnSince = Math.min(this.#meshOnSince, now);
    return {
      reports,
      quietMs: now - this.#changedAt,
      meshOnMs: now - this.#meshOnSince,
      fellBackMs: now - this.#fellBackAt,
      uncovered: this.#uncovered(view, reports, now),
      unfit: new Set(this.#unfitUntil.keys()),
    };
  }

  /** A plan has been carried out, or a part of it. */
  changed(plan: ElectionPlan, view: ElectionView, now: Millis): void {
    this.#changedAt = now;
    const isBack = plan.actions.some(({ kind }) => kind === "meshOn");
    if (isBack && view.settings !== undefined) this.#fellBackAt = now;
  }

  /** The Leases could not be read: who looked old may have been renewed. */
  forgetLeases(): void {
    this.#sightings.clear();
  }

  #reports(elected: readonly string[], leases: readonly Lease[], now: number): Reports {
    const byNode = new Map(leases.map((lease) => [electedNodeOf(lease), lease]));
    forgetOthers(this.#sightings, elected);
    forgetOthers(this.#terms, elected);
    return new Map(elected.map((name) => [name, this.#report(name, byNode.get(name), now)]));
  }

  #report(name: string, lease: Lease | undefined, now: number): SessionReport {
    const version = lease?.metadata.resourceVersion;
    const term = this.#terms.get(name) ?? { since: now, before: version };
    this.#terms.set(name, term);
    const last = this.#sightings.get(name);
    const sighting =
      last?.version === version && last !== undefined ? last : { version, since: now };
    this.#sightings.set(name, sighting);
    return {
      isAlive: version !== undefined && now - sighting.since < electedLeaseSeconds * 1000,
      isCurrent: version !== undefined && version !== term.before,
      established: lease === undefined ? new Set() : establishedOf(lease),
    };
  }

  #observeFit(reports: Reports, now: number): void {
    for (const [name, until] of this.#unfitUntil) if (now >= until) this.#unfitUntil.delete(name);
    for (const [name, { isAlive, isCurrent }] of reports) {
      const since = this.#terms.get(name)?.since ?? now;
      if (isAlive || (!isCurrent && now - since < silentMs)) continue;
      this.#unfitUntil.set(name, now + unfitMs);
    }
  }

  #uncovered({ nodes }: ElectionView, reports: Reports, now: number): ReadonlyMap<string, number> {
    // Where no reflector lives, nobody could tell.
    const isTold = [...reports.values()].some(({ isAlive }) => isAlive);
    const lost = isTold ? nodes.filter((node) => node.mayWork && !isCovered(node, reports)) : [];
    const names = lost.map(({ name }) => name);
    forgetOthers(this.#uncoveredSince, names);
    for (const name of names) {
      if (!this.#uncoveredSince.has(name)) this.#uncoveredSince.set(name, now);
    }
    return new Map([...this.#uncoveredSince].map(([name, since]) => [name, now - since]));
  }
}

function forgetOthers(map: Map<string, unknown>, names: readonly string[]): void {
  const kept = new Set(names);
  for (const name of map.keys()) if (!kept.has(name)) map.delete(name);
}
