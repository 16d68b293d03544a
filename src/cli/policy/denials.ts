import { felixControlPath } from "../../felix/denials/control-path.ts";
import type { Denial } from "../../felix/denials/denial-log.ts";
import type { Arguments } from "../arguments.ts";
import { type Answerer, askControl } from "../control-client.ts";
import type { VerbContext } from "../verb.ts";

const felix: Answerer = {
  name: "felix",
  hint: "is it running here, with this TORTIE_RUN_DIR and policyDenialLogs Enabled?",
};

/** `policy denials`: the packets that this node's felix last told of; exit code 0. */
export async function runDenials(
  args: Arguments,
  { io, interrupted }: VerbContext,
): Promise<number> {
  const path = args.value("socket") ?? felixControlPath(io.env);
  const asJson = args.value("output") === "json";
  const follow = args.has("follow");
  const signal = interrupted();
  const rows = askControl(path, { request: "denials", follow }, { signal, answerer: felix });
  for await (const row of rows) {
    io.stdout.write(asJson ? `${JSON.stringify(row)}\n` : `${rowText(row as Row)}\n`);
  }
  return 0;
}

type Row = Denial | { readonly missed: number };

/** One line; as a sentence, for columns would be as wide as the longest name. */
export function rowText(row: Row): string {
  if ("missed" in row) return `${row.missed} more were not read in time`;
  const { time, direction, source, destination, protocol, suppressed } = row;
  const port = row.port === undefined ? "" : `:${row.port}`;
  const what = row.icmp === undefined ? protocol : `${protocol} ${row.icmp.type}/${row.icmp.code}`;
  const to = destination.includes(":") && port !== "" ? `[${destination}]` : destination;
  const more = suppressed === 0 ? "" : ` (and ${suppressed} before it)`;
  const whose = row.workload === undefined ? "" : ` of ${row.workload}`;
  return `${time} ${source} -> ${to}${port} ${what}: ${direction}${whose}: ${causeText(row)}${more}`;
}

function causeText(denial: Denial): string {
  switch (denial.by) {
    case "rule":
      return `rule ${denial.rule} of ${denial.policy}, tier ${denial.tier}`;
    case "end of tier": {
      const { policies = [] } = denial;
      return `end of tier ${denial.tier}${policies.length === 0 ? "" : ` after ${policies.join(", ")}`}`;
    }
    case "profile rule":
      return `rule ${denial.rule} of profile ${denial.profile}`;
    case "no profile":
      return "no profile allows it";
  }
}
