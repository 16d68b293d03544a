import assert from "node:assert/strict";
import type { FsmState } from "../../../../src/bgp/fsm/fsm.ts";
import type { PeerConfig, PeerEvent } from "../../../../src/bgp/peer/peer.ts";
import { createPeers, type RunningPeers } from "../../../../src/bgp/peer/peers-service.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { keptEvent } from "../../../support/kept-event.ts";
import { MemoryNetwork } from "./memory-network.ts";

export const addressA: IpAddr = "10.0.0.1" as IpAddr;
export const addressB: IpAddr = "10.0.0.2" as IpAddr;
export const highWaterBytes: number = 1000;

/** A speaker of the test: its peers, and what it heard. */
export interface Speaker {
  readonly address: IpAddr;
  readonly peers: RunningPeers;
  readonly events: PeerEvent[];
  readonly stop: () => void;
}

/** Speakers on a network in memory, with a time of its own. */
export class World {
  readonly clock: FakeClock = new FakeClock();
  readonly network: MemoryNetwork = new MemoryNetwork();

  speaker(address: IpAddr, { closeQuietly = false }: { closeQuietly?: boolean } = {}): Speaker {
    const abort = new AbortController();
    const events: PeerEvent[] = [];
    const peers = createPeers(
      { listenAddresses: [address], listenPort: 179, closeQuietly, highWaterBytes },
      {
        clock: this.clock,
        log: createLogger({ name: "bgp", level: "silent" }),
        onEvent: (event) => events.push(keptEvent(event)),
        signal: abort.signal,
        transport: this.network.host(address),
        random: () => 1,
      },
    );
    this.network.run();
    return { address, peers, events, stop: () => abort.abort() };
  }

  /** Lets time and the network run, by steps of a tenth of a second. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds * 10; i++) {
      this.network.run();
      this.clock.advance(100);
    }
    this.network.run();
  }

  /** Two speakers with one peer each, Established. */
  pair(
    changes: Partial<PeerConfig> = {},
    options: { closeQuietly?: boolean } = {},
  ): [Speaker, Speaker] {
    const a = this.speaker(addressA, options);
    const b = this.speaker(addressB, options);
    a.peers.configure([peer(a, b, { ...changes, passive: false })]);
    b.peers.configure([peer(b, a, { ...changes, passive: true })]);
    this.pass(1);
    assert.deepEqual([stateOf(a), stateOf(b)], ["Established", "Established"]);
    return [a, b];
  }
}

export function peer(us: Speaker, them: Speaker, changes: Partial<PeerConfig> = {}): PeerConfig {
  return {
    name: `Mesh_${them.address}`,
    address: them.address,
    port: 179,
    remoteAs: 64512 as Asn,
    localAs: 64512 as Asn,
    localRouterId: Number(us.address.at(-1)),
    localAddress: us.address,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 5,
    families: [4],
    gracefulRestartSeconds: 120,
    ...changes,
  };
}

export const stateOf = ({ peers }: Speaker): FsmState | undefined => peers.status()[0]?.state;
export const reasonOf = ({ peers }: Speaker): string | undefined => peers.status()[0]?.reason;
export const kinds = ({ events }: Speaker): PeerEvent["kind"][] => events.map(({ kind }) => kind);
export const downs = ({ events }: Speaker): [reason: string, graceful: boolean][] =>
  events.filter((event) => event.kind === "down").map(({ reason, graceful }) => [reason, graceful]);
