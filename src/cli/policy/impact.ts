import { InputError } from "../../lib/errors.ts";
import { flowPort } from "../../policy/flow.ts";
import { type ChangedFlow, impact, withChanges } from "../../policy/impact.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext } from "../verb.ts";
import { loadCluster, loadFiles } from "./load-cluster.ts";

/** `policy impact`: which connections meet another verdict when the files are applied. */
export async function runImpact(args: Arguments, context: VerbContext): Promise<number> {
  if (!args.has("filename")) throw new InputError("Cannot tell the impact without -f FILE");
  const { resources: changes } = await loadFiles(args.values("filename"), args, context);
  const { resources } = await loadCluster("cluster", args, context);
  const ports = args.values("port").map(flowPort);
  const flows = [...impact(resources, withChanges(resources, changes), ports)];
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
