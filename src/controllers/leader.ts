import type { Lease } from "../api/resources/kubernetes.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";

export interface LeaderConfig {
  readonly namespace: string;
  readonly name: string;
  /** Tells this process from every other, and from an earlier one of its host. */
  readonly identity: string;
  /** A leader that others have not seen renew for so long has lost its office. */
  readonly leaseMs: number;
  /** A leader that could not renew for so long gives up by itself: less than leaseMs. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

export const defaultLease = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 } as const;

export interface LeaderPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Runs `work` while this process has the lease, as often as it gets it: of all that ask for one
 * lease, one works at a time. Nobody compares clocks: a lease is old when its record has not changed
 * for its duration on the clock of who looks.
 */
export function whileLeader(config: LeaderConfig, work: Service, ports: LeaderPorts): Service {
  return async (signal) => {
    const { clock, log } = ports;
    const candidate = new Candidate(config, ports);
    while (!signal.aborted) {
      if (!(await candidate.tryToLead())) {
        await clock.sleep(config.retryMs, signal).catch(() => undefined);
        continue;
      }
      log.info({ lease: config.name }, "leading");
      await lead(candidate, config, { work, ports, signal });
      log.info({ lease: config.name }, "no longer leading");
    }
  };
}

async function lead(
  candidate: Candidate,
  config: LeaderConfig,
  run: { readonly work: Service; readonly ports: LeaderPorts; readonly signal: AbortSignal },
): Promise<void> {
  const { clock } = run.ports;
  const office = new AbortController();
  const inOffice = AbortSignal.any([run.signal, office.signal]);
  const working = run.work(inOffice).finally(() => office.abort(new Error("the work has ended")));
  let renewedAt = clock.now();
  while (!inOffice.aborted) {
    await clock.sleep(config.retryMs, inOffice).catch(() => undefined);
    if (inOffice.aborted) break;
    const outcome = await candidate.renew();
    if (outcome === "renewed") renewedAt = clock.now();
    else if (outcome === "lost" || clock.now() - renewedAt >= config.renewDeadlineMs) {
      office.abort(new Error("the lease is lost"));
    }
  }
  try {
    await working;
  } catch (error) {
    if (!inOffice.aborted || error !== inOffice.reason) throw error;
  } finally {
    await candidate.resign();
  }
}

class Candidate {
  readonly #config: LeaderConfig;
  readonly #ports: LeaderPorts;
  #seen: { readonly resourceVersion: string | undefined; readonly at: Millis } | undefined;

  constructor(config: LeaderConfig, ports: LeaderPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  /** True when the lease is ours now. Failures are logged, and count as false. */
  async tryToLead(): Promise<boolean> {
    try {
      const lease = await this.#read();
      if (lease === undefined) {
        await this.#ports.datastore.create<"Lease">(this.#leaseOf(undefined));
        return true;
      }
      if (!this.#mayTake(lease)) return false;
      await this.#ports.datastore.update<"Lease">(this.#leaseOf(lease));
      return true;
    } catch (error) {
      this.#report(error);
      return false;
    }
  }

  async renew(): Promise<"renewed" | "lost" | "unknown"> {
    try {
      const lease = await this.#read();
      if (lease?.spec.holderIdentity !== this.#config.identity) return "lost";
      await this.#ports.datastore.update<"Lease">(this.#leaseOf(lease));
      return "renewed";
    } catch (error) {
      this.#report(error);
      return "unknown";
    }
  }

  /** So that the next one need not wait. */
  async resign(): Promise<void> {
    try {
      const lease = await this.#read();
      if (lease?.spec.holderIdentity !== this.#config.identity) return;
      await this.#ports.datastore.update<"Lease">({
        ...lease,
        spec: { ...lease.spec, holderIdentity: "" },
      });
    } catch (error) {
      this.#report(error);
    }
  }

  #mayTake({ metadata, spec }: Lease): boolean {
    const { holderIdentity = "" } = spec;
    if (holderIdentity === "" || holderIdentity === this.#config.identity) return true;
    const { clock } = this.#ports;
    const { resourceVersion } = metadata;
    if (this.#seen === undefined || this.#seen.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, at: clock.now() };
      return false;
    }
    const leaseMs = (spec.leaseDurationSeconds ?? 0) * 1000 || this.#config.leaseMs;
    return clock.now() - this.#seen.at >= leaseMs;
  }

  async #read(): Promise<Lease | undefined> {
    const { namespace, name } = this.#config;
    try {
      return await this.#ports.datastore.get({ kind: "Lease", name, namespace });
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    }
  }

  #leaseOf(before: Lease | undefined): Lease {
    const { namespace, name, identity, leaseMs } = this.#config;
    const now = this.#ports.clock.date().toISOString().replace(/Z$/, "000Z");
    const isOurs = before?.spec.holderIdentity === identity;
    const { acquireTime = now, leaseTransitions = 0 } = before?.spec ?? {};
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: before?.metadata ?? { name, namespace },
      spec: {
        ...before?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseMs / 1000),
        acquireTime: isOurs ? acquireTime : now,
        renewTime: now,
        leaseTransitions: before === undefined || isOurs ? leaseTransitions : leaseTransitions + 1,
      },
    };
  }

  #report(error: unknown): void {
    if (isDatastoreError(error, "conflict") || isDatastoreError(error, "already-exists")) return;
    this.#ports.log.warn({ lease: this.#config.name, reason: errorMessage(error) }, "lease");
  }
}
