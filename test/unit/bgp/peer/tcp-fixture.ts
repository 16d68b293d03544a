import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { PeerConfig, PeerEvent } from "../../../../src/bgp/peer/peer.ts";
import { createPeers, type RunningPeers } from "../../../../src/bgp/peer/peers-service.ts";
import { encodeOpen } from "../../../../src/bgp/wire/open.ts";
import { encodeKeepalive } from "../../../../src/bgp/wire/route-refresh.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { type Clock, systemClock } from "../../../../src/lib/clock.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { keptEvent } from "../../../support/kept-event.ts";

/** A speaker of ours on a loopback address. */
export interface Speaker {
  readonly peers: RunningPeers;
  readonly events: PeerEvent[];
  readonly stop: () => Promise<void>;
}

export interface SpeakerOptions {
  readonly clock?: Clock;
  readonly highWaterBytes?: number;
}

export function speaker(
  t: TestContext,
  address: string,
  { clock = systemClock, highWaterBytes = 100_000 }: SpeakerOptions = {},
): Speaker {
  const abort = new AbortController();
  const events: PeerEvent[] = [];
  const peers = createPeers(
    { listenAddresses: [address as IpAddr], listenPort: 0, closeQuietly: false, highWaterBytes },
    {
      clock,
      log: createLogger({ name: "bgp", level: "silent" }),
      onEvent: (event) => events.push(keptEvent(event)),
      signal: abort.signal,
    },
  );
  const stop = () => {
    abort.abort();
    return peers.ended;
  };
  t.after(stop);
  return { peers, events, stop };
}

/** A peer that is connected to. */
export function config(name: string, changes: Partial<PeerConfig>): PeerConfig {
  return {
    name,
    address: "127.0.0.1" as IpAddr,
    port: 1,
    remoteAs: 64512 as Asn,
    localAs: 64512 as Asn,
    localRouterId: 1,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 5,
    families: [4, 6],
    gracefulRestartSeconds: 0,
    ...changes,
  };
}

/** A server on loopback, and the first connection to it. */
export async function rawPeer(
  t: TestContext,
): Promise<{ server: Server; port: number; accepted: Promise<Socket> }> {
  const server = createServer();
  const accepted = new Promise<Socket>((resolve) => {
    server.on("connection", (socket) => {
      t.after(() => socket.destroy());
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, port: address.port, accepted };
}

/** Says what a peer without capabilities says up to Established. */
export function establish(socket: Socket): void {
  const asn = 64512 as Asn;
  socket.write(encodeOpen({ kind: "open", asn, holdSeconds: 90, routerId: 9, capabilities: [] }));
  socket.write(encodeKeepalive());
}
