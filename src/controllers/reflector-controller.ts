import { leaseNamespace } from "../api/leases.ts";
import { reflectorLeaseSeconds, reflectorOf } from "../api/reflector-peer.ts";
import { keyOf } from "../api/resource-key.ts";
import type { BGPPeer } from "../api/resources/bgp.ts";
import type { Lease } from "../api/resources/kubernetes.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";
import { type CountedPorts, counted } from "./reconcile-counts.ts";

export interface ReflectorPorts extends CountedPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

const lookMs = 15_000;

/** What was last seen of a reflector's Lease, and since when it is so. */
interface Sighting {
  /** Undefined: there was no Lease. */
  readonly version: string | undefined;
  readonly since: Millis;
}

/**
 * Takes away the BGPPeers and Leases of route reflectors that are gone without a word: their Lease has not
 * changed for its time, by our clock. A look that fails counts as none, so that nobody is taken for dead who could not be
 * heard.
 */
export function reflectorController(ports: ReflectorPorts): Service {
  const { clock, log } = ports;
  return async (signal) => {
    let sightings = new Map<string, Sighting>();
    const lookAgain = counted(ports, "reflector", () => look(sightings, ports));
    while (!signal.aborted) {
      try {
        sightings = await lookAgain();
      } catch (error) {
        sightings = new Map();
        log.error({ reason: errorMessage(error) }, "Cannot see route reflectors");
      }
      await clock.sleep(lookMs, signal).catch(() => undefined);
    }
  };
}

async function look(
  before: ReadonlyMap<string, Sighting>,
  { datastore, clock, log }: ReflectorPorts,
): Promise<Map<string, Sighting>> {
  const peers = ofReflectors((await datastore.list("BGPPeer")).items);
  const leases = ofReflectors((await datastore.list("Lease", { namespace: leaseNamespace })).items);
  const sightings = new Map<string, Sighting>();
  for (const reflector of new Set([...peers.keys(), ...leases.keys()])) {
    const version = leases.get(reflector)?.[0]?.metadata.resourceVersion;
    const last = before.get(reflector);
    const isSame = last !== undefined && last.version === version;
    const sighting = isSame ? last : { version, since: clock.now() };
    sightings.set(reflector, sighting);
    if (clock.now() - sighting.since < reflectorLeaseSeconds * 1000) continue;
    for (const gone of [...(peers.get(reflector) ?? []), ...(leases.get(reflector) ?? [])]) {
      await unlessAbsent(datastore.delete(keyOf(gone), gone.metadata.resourceVersion));
    }
    log.info({ reflector }, "Took away what a reflector has left that is gone");
  }
  return sightings;
}

function ofReflectors<R extends BGPPeer | Lease>(resources: readonly R[]): Map<string, R[]> {
  const byName = Map.groupBy(resources, ({ metadata }) => reflectorOf(metadata) ?? "");
  byName.delete("");
  return byName;
}
