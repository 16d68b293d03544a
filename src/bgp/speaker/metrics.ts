import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { Metric, MetricSample } from "../../lib/metrics.ts";
import type { MessageCounts, PeerStatus } from "../peer/peer.ts";
import type { RunningSpeaker } from "./run-speaker.ts";
import type { Speaker } from "./speaker.ts";

const families: readonly IpFamily[] = [4, 6];
const messageTypes = ["open", "update", "notification", "keepalive", "routeRefresh"] as const;

/**
 * What Prometheus is told. `bgp_peers`, `bgp_routes_imported` and `bgp_route_updates_received` are
 * metrics of Calico Enterprise, with its values of `ip_version`.
 */
export function speakerMetrics({ speaker, host }: RunningSpeaker): readonly Metric[] {
  const sessions = host.status();
  return [
    ...totals(speaker, sessions),
    ...states(speaker, sessions),
    ...routes(speaker, sessions),
    ...messages(sessions),
    malformed(sessions),
  ];
}

function totals(speaker: Speaker, sessions: readonly PeerStatus[]): readonly Metric[] {
  const { blocked = [] } = speaker.config ?? {};
  const counts = new Map<string, number>();
  for (const { address, state } of [...sessions, ...blocked.map(down)]) {
    const key = `${ipVersion(ipFamily(address))} ${state}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const updates = (family: IpFamily) =>
    sessions
      .filter(({ address }) => ipFamily(address) === family)
      .reduce((sum, { counters }) => sum + (counters?.received.update ?? 0), 0);
  return [
    gauge(
      "bgp_peers",
      "Sessions in each state, by family of their address.",
      [...counts].map(([key, value]) => {
        const [family = "", status = ""] = key.split(" ");
        return { labels: { ip_version: family, status }, value };
      }),
    ),
    gauge(
      "bgp_routes_imported",
      "Paths that peers have told and that are kept.",
      families.map((family) => {
        const { adjIn } = speaker.families[family].rib;
        return { labels: { ip_version: ipVersion(family) }, value: adjIn.size };
      }),
    ),
    counter(
      "bgp_route_updates_received",
      "UPDATE messages received, by family of the session's address.",
      families.map((family) => ({
        labels: { ip_version: ipVersion(family) },
        value: updates(family),
      })),
    ),
    gauge(
      "bgp_prefixes",
      "Prefixes with a chosen path.",
      families.map((family) => ({
        labels: { ip_version: ipVersion(family) },
        value: speaker.families[family].rib.loc.size,
      })),
    ),
    gauge("bgp_converged", "1: what peers know is known.", [{ value: Number(speaker.converged) }]),
  ];
}

function states(speaker: Speaker, sessions: readonly PeerStatus[]): readonly Metric[] {
  const { blocked = [] } = speaker.config ?? {};
  const all = [...sessions, ...blocked.map(down)];
  return [
    gauge(
      "bgp_peer_state",
      "1 for the state that a session has.",
      all.map(({ name, address, state }) => {
        const peer = speaker.peers.get(name)?.peer;
        const asn = String(peer?.config.remoteAs ?? "");
        return { labels: { peer: name, address, asn, type: peer?.type ?? "", state }, value: 1 };
      }),
    ),
    gauge(
      "bgp_peer_up",
      "1: Established.",
      all.map(({ name, state }) => ({
        labels: { peer: name },
        value: Number(state === "Established"),
      })),
    ),
    gauge(
      "bgp_peer_state_changed_timestamp_seconds",
      "When the state was reached.",
      sessions.map(({ name, since }) => ({
        labels: { peer: name },
        value: Date.parse(since) / 1000,
      })),
    ),
    gauge(
      "bgp_peer_last_error",
      "1, with the last error of a session in words.",
      sessions.flatMap(({ name, lastError }) =>
        lastError === undefined ? [] : [{ labels: { peer: name, error: lastError }, value: 1 }],
      ),
    ),
    counter(
      "bgp_peer_flaps_total",
      "How often an Established session has ended.",
      sessions.flatMap(({ name, state, counters }) => {
        if (counters === undefined) return [];
        const value = counters.established - Number(state === "Established");
        return [{ labels: { peer: name }, value }];
      }),
    ),
  ];
}

function down({ name, address }: Pick<PeerStatus, "name" | "address">) {
  return { name, address, state: "Idle" };
}

function routes(speaker: Speaker, sessions: readonly PeerStatus[]): readonly Metric[] {
  const counts = (count: (family: IpFamily, number: number) => number): MetricSample[] =>
    sessions.flatMap(({ name, negotiated }) => {
      const number = speaker.peers.get(name)?.number;
      if (number === undefined || negotiated === undefined) return [];
      return negotiated.families.map((family) => ({
        labels: { peer: name, ip_version: ipVersion(family) },
        value: count(family, number),
      }));
    });
  return [
    gauge(
      "bgp_peer_prefixes_received",
      "Paths that a peer has told.",
      counts((family, number) => speaker.families[family].rib.adjIn.countOf(number)),
    ),
    gauge(
      "bgp_peer_prefixes_sent",
      "Prefixes that a peer is told.",
      counts((family, number) => speaker.families[family].groups.announcedCount(number)),
    ),
  ];
}

function messages(sessions: readonly PeerStatus[]): readonly Metric[] {
  const byType = (direction: "received" | "sent"): MetricSample[] =>
    sessions.flatMap(({ name, counters }) =>
      counters === undefined
        ? []
        : messageTypes.map((type) => ({
            labels: { peer: name, type },
            value: counters[direction][type],
          })),
    );
  const octets = (of: (counters: NonNullable<PeerStatus["counters"]>) => number): MetricSample[] =>
    sessions.flatMap(({ name, counters }) =>
      counters === undefined ? [] : [{ labels: { peer: name }, value: of(counters) }],
    );
  const bytes = ({ bytes: count }: MessageCounts) => count;
  return [
    counter("bgp_peer_messages_received_total", "Messages of a peer.", byType("received")),
    counter("bgp_peer_messages_sent_total", "Messages to a peer.", byType("sent")),
    counter(
      "bgp_peer_received_bytes_total",
      "Octets of a peer.",
      octets((c) => bytes(c.received)),
    ),
    counter(
      "bgp_peer_sent_bytes_total",
      "Octets to a peer.",
      octets((c) => bytes(c.sent)),
    ),
    gauge(
      "bgp_peer_queued_bytes",
      "Octets that TCP has not taken.",
      octets((c) => c.queuedBytes),
    ),
  ];
}

function malformed(sessions: readonly PeerStatus[]): Metric {
  return counter(
    "bgp_peer_malformed_updates_total",
    "Malformed UPDATEs by what became of them (RFC 7606).",
    sessions.flatMap(({ name: peer, counters }) => {
      if (counters === undefined) return [];
      const { treatedAsWithdraw, attributeDiscard } = counters;
      return [
        { labels: { peer, handling: "treat-as-withdraw" }, value: treatedAsWithdraw },
        { labels: { peer, handling: "attribute-discard" }, value: attributeDiscard },
      ];
    }),
  );
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, help, type: "gauge", samples };
}

function counter(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, help, type: "counter", samples };
}

function ipVersion(family: IpFamily): string {
  return `IPv${family}`;
}
