import { InputError } from "../lib/errors.ts";
import { type PathsRequest, pathsControlPath } from "../paths/control.ts";
import type { PathReport } from "../paths/run-check.ts";
import type { Arguments } from "./arguments.ts";
import { type Answerer, askControl } from "./control-client.ts";
import { pathReportText } from "./path-report.ts";
import type { Verb, VerbContext } from "./verb.ts";

const felix: Answerer = {
  name: "felix",
  hint: "is it running here, with this TORTIE_RUN_DIR and pathChecks Enabled?",
};

/** `tortie node check-paths`: this node's felix probes its peers, and says what to change. */
export const checkPathsVerb: Verb = {
  summary:
    "probe the network between this node and others: filtered ports, packets that vanish for their " +
    "size, wrong checksums, slow tunnels; and say what to change. Without NODE, a sample of the nodes. " +
    "Needs pathChecks Enabled in FelixConfiguration on both ends (docs/check-paths.md). Exit code 0: " +
    "nothing is wrong, 1: it could not be checked, 2: something is wrong",
  usage: ["[NODE...] [--sample=NUMBER] [--dry-run] [-o text|json]"],
  examples: ["tortie node check-paths", "tortie node check-paths node3 -o json"],
  options: {
    sample: { value: "NUMBER", help: "how many nodes, without NODE (pathCheckPeers)" },
    "no-throughput": { help: "no transfer over TCP" },
    "dry-run": { help: "say which paths would be probed, and send nothing" },
    output: { short: "o", value: "FORMAT", help: "text or json (text)" },
    socket: { value: "PATH", help: "felix' socket (TORTIE_RUN_DIR/paths.sock)" },
  },
  run: runCheckPaths,
};

async function runCheckPaths(args: Arguments, { io, interrupted }: VerbContext): Promise<number> {
  const format = args.value("output") ?? "text";
  if (format !== "text" && format !== "json") {
    throw new InputError(`Cannot write "${format}": -o must be text or json`);
  }
  const request = requestOf(args);
  const path = args.value("socket") ?? pathsControlPath(io.env);
  const options = { signal: interrupted(), answerer: felix };
  for await (const row of askControl(path, request, options)) {
    const report = row as PathReport;
    const text =
      format === "json" ? `${JSON.stringify(report, null, 2)}\n` : pathReportText(report);
    io.stdout.write(text);
    return exitCode(report, request);
  }
  return 1;
}

function requestOf(args: Arguments): PathsRequest {
  const sample = args.value("sample");
  const count = Number(sample ?? 1);
  if (!(Number.isInteger(count) && count >= 1 && count <= 100)) {
    throw new InputError(`Cannot accept --sample ${sample}: it must be 1 to 100`);
  }
  if (sample !== undefined && args.words.length > 0) {
    throw new InputError("Cannot accept --sample with NODE: those nodes are the sample");
  }
  return {
    request: "check-paths",
    throughput: !args.has("no-throughput"),
    dryRun: args.has("dry-run"),
    ...(args.words.length === 0 ? {} : { nodes: args.words }),
    ...(sample === undefined ? {} : { samplePeers: count }),
  };
}

function exitCode({ findings, skipped }: PathReport, { nodes }: PathsRequest): number {
  if (findings.some(({ severity }) => severity === "problem")) return 2;
  return nodes !== undefined && skipped.length > 0 ? 1 : 0;
}
