import { policyIdentity } from "../../api/policy-identity.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { type PolicyCluster, policyCluster } from "../../policy/cluster.ts";
import { type FlowPort, flowEnd, flowPacket, podNameOnNode } from "../../policy/flow.ts";
import { PolicyModel } from "../../policy/model.ts";
import type { Packet } from "../../policy/packet.ts";
import type { Check, Decision } from "../../policy/verdict.ts";
import { type WrittenRule, writtenRule } from "../../policy/written-rule.ts";
import { type Counters, counterKey, type RuleCounters } from "./counters.ts";
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

/** Explains connections of one cluster: what a node's chains are is worked out once. */
export class Explainer {
  readonly #resources: readonly AnyResource[];
  readonly #cluster: PolicyCluster;
  readonly #model: PolicyModel;
  readonly #chains = new Map<string, NodeChains>();

  constructor(resources: readonly AnyResource[]) {
    this.#resources = resources;
    this.#cluster = policyCluster(resources);
    this.#model = new PolicyModel(this.#cluster);
  }

  /** @throws {InputError} for an end that is not there, and two ends without a family in common. */
  explain(from: string, to: string, port: FlowPort): Explanation {
    const cluster = this.#cluster;
    const packet = flowPacket(flowEnd(from, cluster), flowEnd(to, cluster), port);
    return { from, to, port: port.name, ...this.explainPacket(packet) };
  }

  explainPacket(packet: Packet): Omit<Explanation, "from" | "to" | "port"> {
    const verdict = this.#model.judge(packet);
    const family = ipFamily(packet.source);
    return {
      packet,
      ...verdict,
      checks: verdict.checks.map((check) => this.#explained(check, family)),
    };
  }

  #explained(check: Check, family: IpFamily): ExplainedCheck {
    const written = this.#writtenOf(check);
    const endpoint = this.#endpointOf(check);
    const kernel =
      endpoint === undefined
        ? undefined
        : this.#chainsOf(check.node, family).ruleOf(check, endpoint);
    return {
      ...check,
      ...(written === undefined ? {} : { written }),
      ...(kernel === undefined ? {} : { kernel }),
    };
  }

  #writtenOf({ decision }: Check): WrittenRule | undefined {
    if (decision.kind !== "rule") return undefined;
    const policy = this.#cluster.policies.find((one) => policyIdentity(one).id === decision.id);
    return policy === undefined
      ? undefined
      : writtenRule(policy, decision.direction, decision.index);
  }

  #endpointOf({ endpoint, node }: Check): WorkloadEndpoint | HostEndpoint | undefined {
    const { kind, namespace = "default", name } = endpoint;
    if (kind === "HostEndpoint") {
      return this.#cluster.hostEndpoints.find(({ metadata }) => metadata.name === name);
    }
    return this.#cluster.endpoints.find(
      (one) => podNameOnNode(one) === `${node}/${namespace}/${name}`,
    );
  }

  #chainsOf(node: string, family: IpFamily): NodeChains {
    return getOrCreate(
      this.#chains,
      `${node} ${family}`,
      () => new NodeChains(node, this.#resources, family),
    );
  }
}

/** The explanation with the counters of one node's rules. */
export function withCounters(
  explanation: Explanation,
  node: string,
  counters: Counters,
): Explanation {
  const checks = explanation.checks.map((check) =>
    check.node !== node || check.kernel === undefined
      ? check
      : { ...check, kernel: { ...check.kernel, ...counters.get(counterKey(check.kernel)) } },
  );
  return { ...explanation, checks };
}
