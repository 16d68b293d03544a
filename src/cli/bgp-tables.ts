import type { WhyView } from "../bgp/control/answers.ts";
import type { PeerDetail, PeerRow } from "../bgp/control/peer-views.ts";
import type { AttributesView, RouteRow } from "../bgp/control/rib-rows.ts";
import type { WhyNot } from "../bgp/speaker/explain.ts";
import type { Capability } from "../bgp/wire/message.ts";
import { rowText, tableText, widthsOf } from "./output/table.ts";

/** Answers of the control socket as text. Rows are printed as they come. */
export type RowsText = (rows: AsyncIterable<unknown>) => AsyncIterable<string>;

/** Rows from which the widths of a long table are taken. */
const measuredRows = 200;

/** A list may be long or endless: one object a line. */
export const linesJson: RowsText = async function* (rows) {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
};

const peersHeading = [
  "NAME",
  "ADDRESS",
  "AS",
  "TYPE",
  "STATE",
  "SINCE",
  "RECEIVED",
  "SENT",
  "REASON",
];

function peerCells(row: unknown): readonly string[] {
  const { name, address, asn, type, state, since, received, sent, reason } = row as PeerRow;
  const why = state === "Established" ? "" : reason;
  const counts = [String(received), String(sent)];
  return [name, address, String(asn ?? ""), type, state, shortTime(since), ...counts, why];
}

export const peersText: RowsText = table(peersHeading, peerCells);

const wideHeading = [...peersHeading, "MADE BY", "LAST ERROR", "DESCRIPTION"];

export const peersWideText: RowsText = table(wideHeading, (row) => {
  const { origin, lastError, description } = row as PeerRow;
  return [...peerCells(row), origin ?? "", lastError ?? "", description ?? ""];
});

const ribHeading = ["PREFIX", "NEXT HOP", "FROM", "LOCAL PREF", "MED", "AS PATH", "ORIGIN", ""];

export const ribText: RowsText = table(ribHeading, (row) => {
  const { prefix, nextHop, peer, localPref = "", med = "", asPath, ...rest } = row as RouteRow;
  const path = [String(localPref), String(med), asPath, rest.origin];
  return [prefix, nextHop ?? "", peer, ...path, attributesText(rest)];
});

export const peerText: RowsText = each((row) => {
  const peer = row as PeerDetail;
  const { negotiated, counters, config } = peer;
  const lines: (readonly [string, string])[] = [
    ["Session", `${peer.name} (${peer.type}${peer.origin === null ? "" : `, ${peer.origin}`})`],
    ...(peer.description === null ? [] : [["Description", peer.description] as const]),
    ["Neighbor", `${peer.address} AS ${peer.asn ?? "unknown"}`],
    ["State", `${peer.state} since ${peer.since}`],
    ["Reason", peer.reason],
    ["Last error", peer.lastError ?? "none"],
    ["Routes", `${peer.received} received, ${peer.sent} sent`],
    ["Password", config.hasPassword ? "TCP-MD5" : "none"],
  ];
  if (negotiated !== null) {
    const { holdSeconds, keepaliveSeconds, families, peerRouterId, capabilities } = negotiated;
    lines.push(
      ["Router ID", peerRouterId],
      ["Families", families.join(", ")],
      ["Timers", `hold ${holdSeconds} s, keepalive ${keepaliveSeconds} s`],
      ["Our capabilities", capabilityNames(capabilities?.local)],
      ["Its capabilities", capabilityNames(capabilities?.remote)],
    );
  }
  if (counters !== null) {
    lines.push(
      ["Received", countsText(counters.received)],
      ["Sent", countsText(counters.sent)],
      ["Malformed", malformedText(counters)],
      ["Established", `${counters.established} times, ${counters.queuedBytes} octets queued`],
    );
  }
  return tableText(lines.map(([name, value]) => [`${name}:`, value]));
});

export const whyText: RowsText = each((row) => {
  const { prefix, paths, kernel } = row as WhyView;
  if (paths.length === 0) return `${prefix}: nobody has told of it\n`;
  const rows = paths.map(({ peer, nextHop, verdict, by, stale, ...rest }) => [
    verdict === "best" || verdict === "equal" || by === undefined ? verdict : `${verdict}: ${by}`,
    peer,
    nextHop ?? "",
    String(rest.localPref ?? ""),
    rest.asPath,
    [...(stale ? ["stale"] : []), attributesText(rest)].join(" ").trim(),
  ]);
  const heading = ["VERDICT", "FROM", "NEXT HOP", "LOCAL PREF", "AS PATH", ""];
  return `${prefix}\n${tableText([heading, ...rows])}Kernel: ${kernel}\n`;
});

export const whyNotText: RowsText = each((row) => {
  const { prefix, peer, told, because } = row as WhyNot;
  return `${peer} is ${told ? "" : "not "}told of ${prefix}: ${because}\n`;
});

export const refreshText: RowsText = each((row) => {
  const { name, refreshed } = row as { readonly name: string; readonly refreshed: string };
  return `${name}: refreshed ${refreshed === "both" ? "in and out" : refreshed}\n`;
});

export const shutdownText: RowsText = each((row) => {
  const { name, shutdown } = row as { readonly name: string; readonly shutdown: boolean };
  return `${name}: ${shutdown ? "shut down" : "may start"}\n`;
});

export const logText: RowsText = each((row) => {
  const { time, level, msg, missed, ...rest } = row as Readonly<Record<string, unknown>>;
  if (missed !== undefined) return `... ${missed} lines missed\n`;
  const { name: _name, pid: _pid, hostname: _host, ...fields } = rest;
  const when = typeof time === "number" ? new Date(time).toISOString() : "";
  const told = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${[when, levelText(level), String(msg ?? ""), ...told].join(" ")}\n`;
});

function each(text: (row: unknown) => string): RowsText {
  return async function* (rows) {
    for await (const row of rows) yield text(row);
  };
}

/** A table whose columns fit its first rows; what is wider later pushes the rest aside. */
function table(heading: readonly string[], cells: (row: unknown) => readonly string[]): RowsText {
  return async function* (rows) {
    const first: (readonly string[])[] = [heading];
    let widths: readonly number[] | undefined;
    for await (const row of rows) {
      if (widths !== undefined) {
        yield rowText(cells(row), widths);
        continue;
      }
      first.push(cells(row));
      if (first.length <= measuredRows) continue;
      widths = widthsOf(first);
      yield tableText(first);
    }
    if (widths === undefined) yield tableText(first);
  };
}

function attributesText(view: Partial<AttributesView>): string {
  const { communities, originatorId, clusterList } = view;
  return [
    ...(communities === undefined ? [] : [communities.join(" ")]),
    ...(originatorId === undefined ? [] : [`originator ${originatorId}`]),
    ...(clusterList === undefined ? [] : [`clusters ${clusterList.join(" ")}`]),
  ].join(", ");
}

function countsText(counts: NonNullable<PeerDetail["counters"]>["sent"]): string {
  const { open, update, notification, keepalive, routeRefresh, bytes } = counts;
  return (
    `${open} OPEN, ${update} UPDATE, ${notification} NOTIFICATION, ${keepalive} KEEPALIVE, ` +
    `${routeRefresh} ROUTE-REFRESH, ${bytes} octets`
  );
}

/** What was done about it (RFC 7606). */
function malformedText(counters: NonNullable<PeerDetail["counters"]>): string {
  const { treatedAsWithdraw, attributeDiscard } = counters;
  return `${treatedAsWithdraw} UPDATE treated as withdraw, ${attributeDiscard} with an attribute discarded`;
}

function capabilityNames(capabilities: readonly Capability[] | undefined): string {
  if (capabilities === undefined) return "not known";
  const names = capabilities.map((each) =>
    each.kind === "multiprotocol" ? `multiprotocol ${each.afi}/${each.safi}` : each.kind,
  );
  return names.join(", ");
}

function levelText(level: unknown): string {
  const names: Readonly<Record<number, string>> = {
    10: "trace",
    20: "debug",
    30: "info",
    40: "warn",
    50: "error",
    60: "fatal",
  };
  return names[Number(level)] ?? String(level);
}

/** Without the parts of a second. */
function shortTime(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}
