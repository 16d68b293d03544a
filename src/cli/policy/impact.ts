import { InputError } from "../../lib/errors.ts";
import { inPlace, withDerived } from "../../policy/derived-resources.ts";
import { flowPort } from "../../policy/flow.ts";
import { type ChangedFlow, impact, withChanges } from "../../policy/impact.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext } from "../verb.ts";
import { loadFiles, loadGiven } from "./load-cluster.ts";

/** `policy impact`: which connections meet another verdict when the files are applied. */
export async function runImpact(args: Arguments, context: VerbContext): Promise<number> {
  if (!args.has("filename")) throw new InputError("Cannot tell the impact without -f FILE");
  const changes = await loadFiles(args.values("filename"), args, context);
  const given = await loadGiven("cluster", args, context);
  const ports = args.values("port").map(flowPort);
  const before = withDerived(given.resources, given.pods);
  const pods = new Set(given.pods);
  const placed = changes.resources.map((change) => {
    if (!changes.pods.has(change)) return change;
    const pod = inPlace(change, given.resources);
    pods.add(pod);
    return pod;
  });
  const after = withDerived(withChanges(given.resources, placed), pods);
  const flows = [...impact(before, after, ports)];
  const { stdout } = context.io;
  if (args.value("output") === "json") {
    stdout.write(`${JSON.stringify(flows, null, 2)}\n`);
    return 0;
  }
  for (const flow of flows) stdout.write(`${flowText(flow)}\n`);
  const opened = flows.filter(({ after }) => after.allowed).length;
  stdout.write(`${opened} opened, ${flows.length - opened} closed\n`);
  return 0;
}

function flowText({ from, to, port, after }: ChangedFlow): string {
  return `${after.allowed ? "opens " : "closes"} ${from} -> ${to} ${port}: ${after.because}`;
}
