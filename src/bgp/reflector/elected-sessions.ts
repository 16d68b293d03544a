import { electedLeaseKey, renewedLease } from "../../api/elected-reflectors.ts";
import { type Datastore, unlessAbsent } from "../../datastore/datastore.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Service } from "../../lib/service.ts";
import type { PeerStatus } from "../peer/peer.ts";

/** What is asked of a speaker. */
export interface ElectedSpeaker {
  readonly speaker: { readonly config: { readonly elected?: boolean } | undefined };
  readonly host: { status(): readonly Pick<PeerStatus, "address" | "state">[] };
}

export interface ElectedPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

const lookMs = 2_000;
const renewMs = 15_000;

/**
 * While the controllers want this node as a route reflector, its Lease tells them with whom it has sessions: at once
 * when that changes, and every 15 s that it lives. Other nodes tell nothing: each session has an end here.
 */
export function electedSessions(
  node: string,
  { speaker, host }: ElectedSpeaker,
  { datastore, clock, log }: ElectedPorts,
): Service {
  return async (signal) => {
    let told = "";
    let toldAt = Number.NEGATIVE_INFINITY;
    for (; !signal.aborted; await clock.sleep(lookMs, signal).catch(() => undefined)) {
      if (speaker.config?.elected !== true) {
        toldAt = Number.NEGATIVE_INFINITY;
        continue;
      }
      const established = establishedWith(host.status());
      const text = established.join();
      if (text === told && clock.now() - toldAt < renewMs) continue;
      try {
        const before = await unlessAbsent(datastore.get<"Lease">(electedLeaseKey(node)));
        const lease = renewedLease(node, before, { established, now: clock.date() });
        await (before === undefined ? datastore.create(lease) : datastore.update(lease));
        [told, toldAt] = [text, clock.now()];
      } catch (error) {
        const reason = errorMessage(error);
        log.warn({ reason }, "The controllers are not told of this reflector's sessions");
      }
    }
  };
}

function establishedWith(sessions: ReturnType<ElectedSpeaker["host"]["status"]>): string[] {
  const up = sessions.filter(({ state }) => state === "Established");
  return [...new Set(up.map(({ address }) => address))].sort();
}
