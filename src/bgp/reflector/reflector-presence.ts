import { isDeepStrictEqual } from "node:util";
import {
  reflectorLabel,
  reflectorLeaseKey,
  reflectorLeaseSeconds,
  reflectorOf,
  reflectorPeer,
} from "../../api/reflector-peer.ts";
import { keyOf } from "../../api/resource-key.ts";
import type { BGPPeer } from "../../api/resources/bgp.ts";
import type { Lease } from "../../api/resources/kubernetes.ts";
import { type Datastore, unlessAbsent } from "../../datastore/datastore.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Service } from "../../lib/service.ts";
import type { ReflectorIdentity } from "../config/reflector.ts";

export interface PresencePorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

const renewMs = 15_000;
const retryMs = 2_000;
/** Kubernetes kills after 30 s, and the sessions need some of it; what is left then the controllers take away. */
const takeBackMs = 10_000;

/**
 * Tells the cluster of a route reflector: a Lease that it renews, and a BGPPeer for each of its addresses,
 * which it makes anew when somebody deletes or changes it. A BGPPeer of that name that somebody else wrote is left
 * alone. When `signal` aborts both are taken back, so that
 * nodes forget it before its sessions end. What a reflector leaves that is killed, the controllers take away.
 */
export function reflectorPresence(reflector: ReflectorIdentity, ports: PresencePorts): Service {
  const { clock, log } = ports;
  return async (signal) => {
    while (!signal.aborted) {
      let waitMs = renewMs;
      try {
        await renewLease(reflector.name, ports);
        for (const peer of peersOf(reflector)) await keepPeer(peer, ports);
      } catch (error) {
        log.warn({ reason: errorMessage(error) }, "The cluster is not told of this reflector");
        waitMs = retryMs;
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
    const limit = new AbortController();
    const late = clock.sleep(takeBackMs, limit.signal).catch(() => undefined);
    const isLate = late.then(() => "the datastore does not answer");
    const reason = await Promise.race([takeBack(reflector, ports), isLate]);
    limit.abort();
    if (reason === "")
      log.info({ reflector: reflector.name }, "The nodes are told that this reflector goes");
    else log.warn({ reason }, "The cluster still knows of this reflector");
  };
}

function peersOf({ name, addresses, port }: ReflectorIdentity): BGPPeer[] {
  return addresses.map((address) => reflectorPeer(name, address, port));
}

async function renewLease(name: string, { datastore, clock }: PresencePorts): Promise<void> {
  const now = clock.date().toISOString().replace(/Z$/, "000Z");
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: reflectorLeaseSeconds,
    renewTime: now,
  };
  const key = reflectorLeaseKey(name);
  const labels = { [reflectorLabel]: name };
  const present = await unlessAbsent(datastore.get<"Lease">(key));
  if (present !== undefined) {
    const metadata = { ...present.metadata, labels: { ...present.metadata.labels, ...labels } };
    await datastore.update<"Lease">({ ...present, metadata, spec: { ...present.spec, ...spec } });
    return;
  }
  const lease: Lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: key.name, ...(key.namespace && { namespace: key.namespace }), labels },
    spec: { ...spec, acquireTime: now },
  };
  await datastore.create<"Lease">(lease);
}

async function keepPeer(wanted: BGPPeer, { datastore, log }: PresencePorts): Promise<void> {
  const present = await unlessAbsent(datastore.get<"BGPPeer">(keyOf(wanted)));
  const { name, labels } = wanted.metadata;
  if (present === undefined) {
    await datastore.create<"BGPPeer">(wanted);
    log.info({ bgpPeer: name, peerIP: wanted.spec.peerIP }, "The nodes are told of this reflector");
    return;
  }
  if (!isOwn(present, wanted)) {
    throw new InputError(
      `Cannot write BGPPeer ${name}: it is somebody else's, without the label ${reflectorLabel}`,
    );
  }
  if (!isDeepStrictEqual([present.spec, present.metadata.labels], [wanted.spec, labels])) {
    await datastore.update<"BGPPeer">({
      ...wanted,
      metadata: { ...present.metadata, ...(labels === undefined ? {} : { labels }) },
    });
    log.warn({ bgpPeer: name }, "Somebody has changed this reflector's BGPPeer: it is put right");
  }
}

/** By its label; or who took that away has left the rest. */
function isOwn(present: BGPPeer, wanted: BGPPeer): boolean {
  return (
    reflectorOf(present.metadata) === reflectorOf(wanted.metadata) ||
    isDeepStrictEqual(present.spec, wanted.spec)
  );
}

/** Nothing is left behind; what cannot be reached now is left to the controllers. @returns why not all is. */
async function takeBack(
  reflector: ReflectorIdentity,
  { datastore }: PresencePorts,
): Promise<string> {
  try {
    for (const peer of peersOf(reflector)) {
      const present = await unlessAbsent(datastore.get<"BGPPeer">(keyOf(peer)));
      if (present === undefined || !isOwn(present, peer)) continue;
      await unlessAbsent(datastore.delete(keyOf(peer)));
    }
    await unlessAbsent(datastore.delete(reflectorLeaseKey(reflector.name)));
    return "";
  } catch (error) {
    return errorMessage(error);
  }
}
