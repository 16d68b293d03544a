import { groupBy } from "../lib/collections.ts";
import { ipFamily } from "../lib/ip-addr.ts";
import type { CheckedFlow, CheckReport } from "./check.ts";

/**
 * Draws a report for a terminal: a row a source, a column a destination, a letter a protocol.
 *
 * Capital: reached. Dot: blocked. "!" after it: not what the policies say. "*": changed since `before`.
 * A destination of two families has two such groups, with "|" between them: IPv4, then IPv6.
 */
export function matrixText(
  report: CheckReport,
  options: { readonly color: boolean; readonly before?: CheckReport },
): string {
  const paint = painter(options.color);
  const sources = unique(report.flows.map(({ from }) => from));
  const targets = unique(report.flows.map(({ to }) => to));
  const cells = new Map<string, string>();
  for (const from of sources) {
    for (const to of targets)
      cells.set(`${from}>${to}`, cellText(from, to, report, options.before, paint));
  }
  const width = Math.max(...targets.map(visibleLength), ...[...cells.values()].map(visibleLength));
  const first = Math.max("from \\ to".length, ...sources.map((name) => name.length));
  const header = ["from \\ to".padEnd(first), ...targets.map((name) => name.padEnd(width))];
  const rows = sources.map((from) =>
    [
      from.padEnd(first),
      ...targets.map((to) => padVisible(cells.get(`${from}>${to}`) ?? "", width)),
    ].join("  "),
  );
  return [paint("bold", header.join("  ")), ...rows].join("\n").concat("\n");
}

/** The key to the letters of a report. */
export function matrixLegend({ flows }: CheckReport, color: boolean): string {
  const paint = painter(color);
  const families = new Set(flows.map(({ address }) => ipFamily(address)));
  const both = families.size > 1 ? `   IPv4 ${paint("dim", "|")} IPv6` : "";
  return (
    `${paint("green", "I T U")} reached by ICMP, TCP port 80, UDP port 80; named ports follow by number   ` +
    `${paint("dim", ".")} blocked   ${paint("red", "!")} not what the policies say   ` +
    `${paint("yellow", "*")} changed${both}\n`
  );
}

const csi = "\u001b";

type Style = "bold" | "dim" | "red" | "green" | "yellow";
type Paint = (style: Style, text: string) => string;

function painter(color: boolean): Paint {
  const codes: Readonly<Record<Style, number>> = {
    bold: 1,
    dim: 2,
    red: 31,
    green: 32,
    yellow: 33,
  };
  return (style, text) => (color ? `${csi}[${codes[style]}m${text}${csi}[0m` : text);
}

function cellText(
  from: string,
  to: string,
  report: CheckReport,
  before: CheckReport | undefined,
  paint: Paint,
): string {
  if (from === to) return paint("dim", "-");
  const flows = report.flows.filter((flow) => flow.from === from && flow.to === to);
  const families = groupBy(flows, ({ address }) => ipFamily(address));
  const letters = (group: readonly CheckedFlow[]) =>
    group.map((flow) => flowText(flow, before, paint)).join(" ");
  return [...families.values()].map(letters).join(" | ");
}

function flowText(flow: CheckedFlow, before: CheckReport | undefined, paint: Paint): string {
  const letter =
    flow.port === 80 || flow.port === 0
      ? flow.protocol.charAt(0)
      : `${flow.protocol.charAt(0)}${flow.port}`;
  const mark = flow.reached ? paint("green", letter) : paint("dim", ".");
  const wrong = flow.reached === flow.expected ? "" : paint("red", "!");
  return `${mark}${wrong}${hasChanged(flow, before) ? paint("yellow", "*") : ""}`;
}

function hasChanged(flow: CheckedFlow, before: CheckReport | undefined): boolean {
  const old = before?.flows.find(
    (other) =>
      other.from === flow.from &&
      other.to === flow.to &&
      other.address === flow.address &&
      other.protocol === flow.protocol &&
      other.port === flow.port,
  );
  return old !== undefined && old.reached !== flow.reached;
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

const colorCodes = new RegExp(`${csi}\\[\\d+m`, "g");

function visibleLength(text: string): number {
  return text.replace(colorCodes, "").length;
}

function padVisible(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - visibleLength(text)));
}
