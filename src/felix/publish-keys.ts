import type { Node } from "../api/resources/node.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { LatestValue } from "../lib/latest-value.ts";
import type { Logger } from "../lib/log.ts";
import type { WireguardKeys } from "./dataplane/tunnels.ts";

type Keys = WireguardKeys["own"];

interface Ports {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

const maxAttempts = 20;

/** Keeps WireGuard's public keys of this node in its Node's status, where the other nodes find them. */
export class KeyPublisher {
  readonly #nodeName: string;
  readonly #ports: Ports;
  readonly #wanted = new LatestValue<Keys>();
  #told = "";

  constructor(nodeName: string, ports: Ports) {
    this.#nodeName = nodeName;
    this.#ports = ports;
  }

  /** To be called when they may be others: what the datastore has already is not written. */
  tell(keys: WireguardKeys): void {
    const told = JSON.stringify(keys);
    const differs = keys.own[4] !== keys.stored[4] || keys.own[6] !== keys.stored[6];
    if (differs && told !== this.#told) this.#wanted.set(keys.own);
    this.#told = told;
  }

  /** Until `signal` aborts. What fails is tried again. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#ports;
    while (!signal.aborted) {
      const latest = await this.#wanted.next(signal);
      if (latest === undefined) return;
      const pauses = new Backoff({ minMs: 200, maxMs: 30_000 });
      const outdated = AbortSignal.any([signal, latest.outdated]);
      while (!outdated.aborted) {
        try {
          if (await publishKeys(this.#nodeName, latest.value, this.#ports)) break;
        } catch (error) {
          log.warn({ reason: errorMessage(error) }, "WireGuard's public key is not published");
        }
        await clock.sleep(pauses.next(), outdated).catch(() => undefined);
      }
    }
  }
}

/** @returns false while the datastore is locked, or there is no such Node. */
async function publishKeys(name: string, keys: Keys, ports: Ports): Promise<boolean> {
  const { datastore, log } = ports;
  if (await isLocked(datastore)) return false;
  for (let attempt = 1; ; attempt++) {
    try {
      const node = await datastore.get({ kind: "Node", name });
      if (hasKeys(node, keys)) return true;
      await datastore.update<"Node">(withKeys(node, keys));
      log.info({ publicKey: keys[4], publicKeyV6: keys[6] }, "WireGuard's public key published");
      return true;
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return false;
      if (!isDatastoreError(error, "conflict") || attempt >= maxAttempts) throw error;
    }
  }
}

function hasKeys({ status }: Node, keys: Keys): boolean {
  return status?.wireguardPublicKey === keys[4] && status?.wireguardPublicKeyV6 === keys[6];
}

function withKeys(node: Node, keys: Keys): Node {
  const { wireguardPublicKey: _v4, wireguardPublicKeyV6: _v6, ...rest } = node.status ?? {};
  return {
    ...node,
    status: {
      ...rest,
      ...(keys[4] === undefined ? {} : { wireguardPublicKey: keys[4] }),
      ...(keys[6] === undefined ? {} : { wireguardPublicKeyV6: keys[6] }),
    },
  };
}
