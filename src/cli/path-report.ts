import type { Finding } from "../paths/findings.ts";
import type { Path, PathObservation, PeerObservation } from "../paths/path.ts";
import type { PathReport } from "../paths/run-check.ts";
import { tableText } from "./output/table.ts";

/** A report of path checks for people: what is wrong first, then what was seen. */
export function pathReportText(report: PathReport): string {
  const { node, plan, peers, skipped, findings, seconds } = report;
  const left = skipped.map((one) => `not probed: ${one.node}: ${one.reason}\n`).join("");
  if (plan !== undefined) return `${planText(node, plan)}${left}`;
  const problems = findings.filter(({ severity }) => severity === "problem");
  const head = `${peers.length} node(s) probed from ${node} in ${seconds.toFixed(1)} s: ${countText(problems.length)}\n`;
  const told = findings.map(findingText).join("");
  const rows = peers.flatMap((peer) => peerRows(peer));
  const seen = rows.length === 0 ? "" : `\n${tableText([columns, ...rows])}`;
  return `${head}${told}${seen}${left}`;
}

function countText(problems: number): string {
  if (problems === 0) return "nothing is wrong";
  return problems === 1 ? "1 problem" : `${problems} problems`;
}

function findingText({ severity, text, advice }: Finding): string {
  return `\n${severity === "problem" ? "PROBLEM" : "hint"}: ${text}\n  do: ${advice}\n`;
}

const columns = ["NODE", "PATH", "DEVICE", "TO", "ANSWERS", "RTT", "MTU", "THROUGHPUT"];

function peerRows({ node, asked, paths }: PeerObservation): string[][] {
  if (paths.length === 0) return [[node, "", "", "", asked, "", "", ""]];
  return paths.map((seen) => [
    node,
    seen.path.carrier,
    seen.path.device ?? "no route",
    seen.path.destination,
    seen.answered > 0 ? "yes" : (seen.error ?? "no"),
    seen.roundTripMs === undefined ? "" : `${seen.roundTripMs.toFixed(1)} ms`,
    mtuText(seen),
    seen.megabitsPerSecond === undefined ? "" : `${Math.round(seen.megabitsPerSecond)} Mbit/s`,
  ]);
}

function mtuText({ mtu }: PathObservation): string {
  if (mtu === undefined) return "";
  const largest = Math.min(mtu.there.largest, mtu.back?.largest ?? mtu.there.largest);
  return largest < mtu.there.wanted ? `${largest} of ${mtu.there.wanted}` : `${largest}`;
}

function planText(
  node: string,
  plan: readonly { readonly node: string; readonly paths: readonly Path[] }[],
): string {
  const rows = plan.flatMap(({ node: peer, paths }) =>
    paths.map(({ carrier, device, source, destination, mtu }) => [
      peer,
      carrier,
      device ?? "no route",
      source,
      destination,
      mtu === 0 ? "" : `${mtu}`,
    ]),
  );
  if (rows.length === 0) return `${node} would probe nothing\n`;
  return tableText([["NODE", "PATH", "DEVICE", "FROM", "TO", "MTU"], ...rows]);
}
