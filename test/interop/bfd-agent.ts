import type { BfdSessionConfig } from "../../src/bgp/bfd/bfd.ts";
import { BfdPeers } from "../../src/bgp/bfd/bfd-peers.ts";
import { createBfd } from "../../src/bgp/bfd/bfd-service.ts";
import type { PeerConfig } from "../../src/bgp/peer/peer.ts";
import { createPeers } from "../../src/bgp/peer/peers-service.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { createLogger } from "../../src/lib/log.ts";

/**
 * Our BFD, alone or joined to our BGP sessions, as a program that a test can run in a network
 * namespace.
 *
 * Usage: node bfd-agent.ts JSON (BfdAgentConfig). Prints a BfdAgentReport a line. On stdin, "busy MS"
 * keeps the main thread from running for so long; SIGTERM ends it.
 */
export interface BfdAgentConfig {
  readonly sessions?: readonly BfdSessionConfig[];
  readonly bgp?: {
    readonly listenAddresses: readonly string[];
    readonly peers: readonly PeerConfig[];
  };
}

export interface BfdAgentReport {
  readonly kind: "bfd" | "established" | "down" | "busy";
  /** State of the path, or why the BGP session ended. */
  readonly text: string;
  readonly graceful?: boolean;
  /** Of a change of a path: since the peer's last packet, as the thread saw it that watches. */
  readonly silentMs?: number;
}

if (process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]) as BfdAgentConfig);

async function main({ sessions, bgp }: BfdAgentConfig): Promise<void> {
  const abort = new AbortController();
  process.on("SIGTERM", () => abort.abort());
  const report = (kind: BfdAgentReport["kind"], text: string, more: object = {}) =>
    console.log(JSON.stringify({ kind, text, ...more }));
  const deps = { clock: systemClock, log: createLogger({ name: "bfd", level: "warn" }) };
  const bfd = createBfd(deps);
  bfd.onChange(({ state, reason, silentMs }) => report("bfd", `${state}: ${reason}`, { silentMs }));
  process.stdin.on("data", (chunk) => keepBusy(Number(chunk.toString().split(" ")[1]), report));
  if (sessions !== undefined) bfd.configure(sessions);
  const ended = bgp === undefined ? undefined : runBgp(bgp);
  await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
  await bfd.close();
  await ended;
  process.exit();

  function runBgp({ listenAddresses, peers: configs }: NonNullable<typeof bgp>): Promise<void> {
    const config = { listenAddresses: listenAddresses as IpAddr[], listenPort: 179 };
    const peers = createPeers(
      { ...config, closeQuietly: true },
      {
        ...deps,
        signal: abort.signal,
        onEvent: (event) => {
          watched.handle(event);
          if (event.kind === "established") report("established", event.name);
          if (event.kind === "down") report("down", event.reason, { graceful: event.graceful });
        },
      },
    );
    const watched = new BfdPeers(bfd, (name, code, message) => peers.reset(name, code, message));
    watched.configure(configs);
    peers.configure(configs);
    return peers.ended;
  }
}

function keepBusy(ms: number, report: (kind: "busy", text: string) => void): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
  report("busy", `${ms} ms`);
}
