import { InputError } from "../../lib/errors.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { flowPort } from "../../policy/flow.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext } from "../verb.ts";
import { readCounters } from "./counters.ts";
import { explanationText } from "./explain-text.ts";
import { Explainer, type Explanation, withCounters } from "./explainer.ts";
import { loadCluster } from "./load-cluster.ts";

/** `policy explain`: exit code 0 whatever the verdict is. */
export async function runExplain(args: Arguments, context: VerbContext): Promise<number> {
  const [from, to] = [args.value("from"), args.value("to")];
  if (from === undefined || to === undefined)
    throw new InputError("Cannot explain without --from and --to");
  const port = flowPort(args.value("port") ?? "icmp");
  const { resources } = await loadCluster("filename", args, context);
  const explanation = await counted(
    new Explainer(resources).explain(from, to, port),
    args.value("node"),
  );
  context.io.stdout.write(
    args.value("output") === "json"
      ? `${JSON.stringify(explanation, null, 2)}\n`
      : explanationText(explanation),
  );
  return 0;
}

/** With the counters of this host, when it is said to be a node. */
async function counted(explanation: Explanation, node: string | undefined): Promise<Explanation> {
  if (node === undefined) return explanation;
  return withCounters(explanation, node, await readCounters(ipFamily(explanation.packet.source)));
}
