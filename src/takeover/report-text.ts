import { groupBy } from "../lib/collections.ts";
import {
  type Area,
  exitCodes,
  type Finding,
  type Verdict,
  verdictOf,
  verdicts,
} from "./finding.ts";

/** What a check found, in all. */
export interface Report {
  readonly node: string;
  readonly verdict: Verdict;
  readonly exitCode: number;
  readonly areas: readonly Area[];
}

/** Findings and notes of an area that people are shown; -o json has all of them. */
const shown = 12;
/** Of a group of findings. */
const named = 4;

export function reportOf(node: string, areas: readonly Area[]): Report {
  const verdict = verdictOf(areas);
  return { node, verdict, exitCode: exitCodes[verdict], areas };
}

/** A report for people: a line for each area, what differs below it, the verdict last. */
export function reportText({ node, verdict, areas }: Report): string {
  const lines = areas.flatMap((area) => [areaLine(area), ...areaDetails(area)]);
  const interrupting = areas.flatMap(({ findings }) => findings.filter((each) => each.interrupts));
  const count = interrupting.length > 0 ? ` (${interrupting.length} marked)` : "";
  return `Node ${node}: what tortie would make of it, nothing was written\n\n${lines.join("\n")}\n\n${verdict.toUpperCase()}: ${verdicts[verdict]}${count}\n`;
}

function areaLine({ name, equal, findings, error }: Area): string {
  const count = (change: Finding["change"]) =>
    findings.filter((each) => each.change === change).length;
  const parts = [
    `${equal} equal`,
    ...(["added", "removed", "replaced"] as const).flatMap((change) =>
      count(change) === 0 ? [] : [`${count(change)} would be ${change}`],
    ),
  ];
  return `${name}: ${error === undefined ? parts.join(", ") : `not read: ${error}`}`;
}

function areaDetails({ findings, notes }: Area): string[] {
  const same = ({ change, interrupts, why }: Finding) => `${interrupts} ${change} ${why}`;
  const groups = [...groupBy(findings, same).values()];
  const ordered = groups.toSorted((a, b) => weight(b) - weight(a));
  return [...limited(ordered.map(groupLine)), ...limited(notes.map((note) => `    note: ${note}`))];
}

function weight([first]: readonly Finding[]): number {
  return first?.interrupts === true ? 1 : 0;
}

/** Things of which the same is to be said are told together. */
function groupLine(findings: readonly Finding[]): string {
  const [first] = findings;
  if (first === undefined) return "";
  const { change, interrupts, why } = first;
  const names = findings.slice(0, named).map(({ what }) => what);
  const more = findings.length > named ? ` and ${findings.length - named} more` : "";
  const count = findings.length > 1 ? `${findings.length}: ` : "";
  return `  ${interrupts ? "!" : " "} ${change} ${count}${names.join(", ")}${more}: ${why}`;
}

function limited(lines: readonly string[]): readonly string[] {
  if (lines.length <= shown) return lines;
  return [...lines.slice(0, shown), `    and ${lines.length - shown} more: see -o json`];
}
