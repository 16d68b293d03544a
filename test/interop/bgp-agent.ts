import type { PeerConfig, PeerEvent } from "../../src/bgp/peer/peer.ts";
import { createPeers, type RunningPeers } from "../../src/bgp/peer/peers-service.ts";
import {
  encodeEndOfRib,
  encodeUpdates,
  encodeWithdrawals,
} from "../../src/bgp/wire/encode-updates.ts";
import type { PackedPrefixes, PathAttributes } from "../../src/bgp/wire/message.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type IpAddr, ipFamily } from "../../src/lib/ip-addr.ts";
import { createLogger } from "../../src/lib/log.ts";
import { pack, unpack } from "../support/packed-prefixes.ts";

/**
 * Our sessions as a program, so that a test can run them in a network namespace.
 *
 * Usage: node bgp-agent.ts JSON (AgentConfig). Prints an AgentReport a line; SIGTERM ends it.
 */
export interface AgentConfig {
  readonly listenAddresses: readonly string[];
  readonly closeQuietly: boolean;
  readonly peers: readonly PeerConfig[];
  /** Announced to every peer once it is Established. */
  readonly announce: readonly {
    readonly prefix: string;
    readonly nextHop: string;
    readonly attributes: PathAttributes;
  }[];
  /** Withdrawn a second later. */
  readonly withdraw?: readonly string[];
}

export type AgentReport =
  | { readonly kind: "established" | "down"; readonly text: string; readonly graceful?: boolean }
  | {
      readonly kind: "routes";
      readonly announced: readonly string[];
      readonly nextHops: readonly string[];
      readonly withdrawn: readonly string[];
      readonly attributes?: PathAttributes;
      readonly endOfRib: readonly number[];
    };

if (process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]) as AgentConfig);

async function main(config: AgentConfig): Promise<void> {
  const abort = new AbortController();
  process.on("SIGTERM", () => abort.abort());
  const peers: RunningPeers = createPeers(
    {
      listenAddresses: config.listenAddresses as IpAddr[],
      listenPort: 179,
      closeQuietly: config.closeQuietly,
    },
    {
      clock: systemClock,
      log: createLogger({ name: "bgp", level: "silent" }),
      signal: abort.signal,
      localRestart: () => ({ restarting: false, forwardingKept: true }),
      onEvent: (event) => {
        const report = reportOf(event);
        if (report !== undefined) console.log(JSON.stringify(report));
        if (event.kind === "established") announce(config, peers, event);
      },
    },
  );
  await peers.listening;
  peers.configure(config.peers);
  await peers.ended;
}

function announce(
  config: AgentConfig,
  peers: RunningPeers,
  { name, negotiated }: Extract<PeerEvent, { kind: "established" }>,
): void {
  const send = (messages: readonly Uint8Array[]) => {
    for (const message of messages) peers.send(name, message);
  };
  for (const { prefix, nextHop, attributes } of config.announce) {
    if (!negotiated.families.includes(ipFamily(nextHop as IpAddr))) continue;
    const announcement = { prefixes: pack(prefix), nextHop: nextHop as IpAddr, attributes };
    send(encodeUpdates(announcement, { fourOctetAs: negotiated.fourOctetAs }));
  }
  for (const family of negotiated.families) send([encodeEndOfRib(family)]);
  for (const prefix of config.withdraw ?? []) {
    systemClock.setTimer(1000, () => send(encodeWithdrawals(pack(prefix))));
  }
}

function reportOf(event: PeerEvent): AgentReport | undefined {
  switch (event.kind) {
    case "established":
      return { kind: "established", text: JSON.stringify(event.negotiated) };
    case "down":
      return { kind: "down", text: event.reason, graceful: event.graceful };
    case "update": {
      const { announced, withdrawn, attributes, endOfRib } = event.update;
      return {
        kind: "routes",
        announced: announced.flatMap(({ prefixes }) => texts(prefixes)),
        nextHops: announced.map(({ nextHop }) => nextHop),
        withdrawn: withdrawn.flatMap((prefixes) => texts(prefixes)),
        ...(attributes !== undefined && { attributes }),
        endOfRib,
      };
    }
    default:
      return undefined;
  }
}

function texts(prefixes: PackedPrefixes): string[] {
  return unpack(prefixes);
}
