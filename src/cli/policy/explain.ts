import { policyIdentity } from "../../api/policy-identity.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { InputError } from "../../lib/errors.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { policyCluster } from "../../policy/cluster.ts";
import { flowEnd, flowPacket, flowPort, podName } from "../../policy/flow.ts";
import { PolicyModel } from "../../policy/model.ts";
import type { Packet } from "../../policy/packet.ts";
import type { Check, Decision } from "../../policy/verdict.ts";
import { type WrittenRule, writtenRule } from "../../policy/written-rule.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext } from "../verb.ts";
import { type RuleCounters, readCounters } from "./counters.ts";
import { explanationText } from "./explain-text.ts";
import { loadCluster } from "./load-cluster.ts";
import { type KernelRule, NodeChains } from "./node-chains.ts";

/** One check, with the rule as it was written, and the kernel's. */
export interface ExplainedCheck extends Check {
  readonly written?: WrittenRule;
  readonly kernel?: KernelRule & Partial<RuleCounters>;
}

/** What `policy explain -o json` prints. */
export interface Explanation {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly packet: Packet;
  readonly allowed: boolean;
  readonly decision: Decision;
  readonly checks: readonly ExplainedCheck[];
  readonly notes: readonly string[];
}

/** `policy explain`: exit code 0 whatever the verdict is. */
export async function runExplain(args: Arguments, context: VerbContext): Promise<number> {
  const [from, to] = [args.value("from"), args.value("to")];
  if (from === undefined || to === undefined)
    throw new InputError("Cannot explain without --from and --to");
  const port = flowPort(args.value("port") ?? "icmp");
  const { resources } = await loadCluster("filename", args, context);
  const cluster = policyCluster(resources);
  const packet = flowPacket(flowEnd(from, cluster), flowEnd(to, cluster), port);
  const verdict = new PolicyModel(cluster).judge(packet);
  const node = args.value("node");
  const counters =
    node === undefined
      ? new Map<string, RuleCounters>()
      : await readCounters(ipFamily(packet.source));
  const checks = verdict.checks.map((check) =>
    explainedCheck(check, {
      resources,
      packet,
      counters: check.node === node ? counters : undefined,
    }),
  );
  const explanation: Explanation = { from, to, port: port.name, packet, ...verdict, checks };
  context.io.stdout.write(
    args.value("output") === "json"
      ? `${JSON.stringify(explanation, null, 2)}\n`
      : explanationText(explanation),
  );
  return 0;
}

function explainedCheck(
  check: Check,
  {
    resources,
    packet,
    counters,
  }: {
    readonly resources: readonly AnyResource[];
    readonly packet: Packet;
    readonly counters: ReadonlyMap<string, RuleCounters> | undefined;
  },
): ExplainedCheck {
  const written = writtenOf(check, resources);
  const rule = kernelRuleOf(check, resources, packet);
  return {
    ...check,
    ...(written === undefined ? {} : { written }),
    ...(rule === undefined ? {} : { kernel: { ...rule, ...counters?.get(rule.hash) } }),
  };
}

function writtenOf(
  { decision }: Check,
  resources: readonly AnyResource[],
): WrittenRule | undefined {
  if (decision.kind !== "rule") return undefined;
  for (const resource of resources) {
    if (resource.kind !== "NetworkPolicy" && resource.kind !== "GlobalNetworkPolicy") continue;
    if (policyIdentity(resource).id !== decision.id) continue;
    return writtenRule(resource, decision.direction, decision.index);
  }
  return undefined;
}

/** Only pods have chains that are theirs alone. */
function kernelRuleOf(
  check: Check,
  resources: readonly AnyResource[],
  packet: Packet,
): KernelRule | undefined {
  const { namespace = "default", name } = check.endpoint;
  const pod = resources.find(
    (one) => one.kind === "WorkloadEndpoint" && podName(one) === `${namespace}/${name}`,
  );
  if (check.endpoint.kind !== "Pod" || pod === undefined) return undefined;
  const chains = new NodeChains(check.node, resources, ipFamily(packet.source));
  return chains.ruleOf(check, { namespace, name: pod.metadata.name });
}
