import { reflectorLeaseKey, reflectorLeaseSeconds, reflectorOf } from "../api/reflector-peer.ts";
import { keyOf } from "../api/resource-key.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";

export interface ReflectorPorts {
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
 * Takes away the BGPPeers of route reflectors that are gone without a word: their Lease has not changed for
 * its time, by our clock. A look that fails counts as none, so that nobody is taken for dead who could not be
 * heard.
 */
export function reflectorController(ports: ReflectorPorts): Service {
  const { clock, log } = ports;
  return async (signal) => {
    let sightings = new Map<string, Sighting>();
    while (!signal.aborted) {
      try {
        sightings = await look(sightings, ports);
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
  const { items } = await datastore.list("BGPPeer");
  const own = items.flatMap((peer) => {
    const reflector = reflectorOf(peer.metadata);
    return reflector === undefined ? [] : [{ peer, reflector }];
  });
  const sightings = new Map<string, Sighting>();
  for (const reflector of new Set(own.map((each) => each.reflector))) {
    const version = await leaseVersion(reflector, datastore);
    const last = before.get(reflector);
    const isSame = last !== undefined && last.version === version;
    sightings.set(reflector, isSame ? last : { version, since: clock.now() });
  }
  for (const { peer, reflector } of own) {
    const { since = clock.now() } = sightings.get(reflector) ?? {};
    if (clock.now() - since < reflectorLeaseSeconds * 1000) continue;
    await unlessAbsent(datastore.delete(keyOf(peer), peer.metadata.resourceVersion));
    await unlessAbsent(datastore.delete(reflectorLeaseKey(reflector)));
    log.info({ bgpPeer: peer.metadata.name }, "Took away the BGPPeer of a reflector that is gone");
  }
  return sightings;
}

async function leaseVersion(reflector: string, datastore: Datastore): Promise<string | undefined> {
  const lease = await unlessAbsent(datastore.get(reflectorLeaseKey(reflector)));
  return lease?.metadata.resourceVersion;
}
