import { keyOf } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { CalcGraph, endpointId } from "../../felix/calc/calc-graph.ts";
import type { ActivePolicy, ActiveProfile, LocalEndpoint } from "../../felix/calc/updates.ts";
import { felixConfig } from "../../felix/config/felix-config.ts";
import { workloadEndpointChains } from "../../felix/rules/endpoint-chains.ts";
import { endpointChainName, policyChainName, profileChainName } from "../../felix/rules/names.ts";
import { policyChains, profileChains, type RuleContext } from "../../felix/rules/policy-chains.ts";
import type { Chain } from "../../kernel/iptables/model.ts";
import { renderChain } from "../../kernel/iptables/rendered-chain.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Check } from "../../policy/verdict.ts";

/** Where in a node's kernel a decision is made: in the filter table. */
export interface KernelRule {
  readonly chain: string;
  /** Of the comment "cali:HASH". */
  readonly hash: string;
}

/** Rules have the same text with every iptables of today. */
const features = { randomFully: true, restoreWait: true };

/** The chains that felix writes on one node of a cluster. */
export class NodeChains {
  readonly #policies = new Map<string, ActivePolicy>();
  readonly #profiles = new Map<string, ActiveProfile>();
  readonly #endpoints = new Map<string, LocalEndpoint>();
  readonly #context: RuleContext;

  constructor(node: string, resources: readonly AnyResource[], family: IpFamily) {
    const specOf = (name: string) => {
      const found = resources.find(
        ({ kind, metadata }) => kind === "FelixConfiguration" && metadata.name === name,
      );
      return (found?.spec ?? {}) as Readonly<Record<string, unknown>>;
    };
    const config = felixConfig({
      global: specOf("default"),
      node: specOf(`node.${node}`),
      env: {},
    });
    this.#context = { config: config.rules, family };
    const graph = new CalcGraph({ nodeName: node });
    graph.setInSync();
    for (const resource of resources) graph.update(keyOf(resource), resource);
    for (const update of graph.flush()) {
      if (update.op !== "set") continue;
      if (update.kind === "policy") this.#policies.set(update.id, update.value);
      if (update.kind === "profile") this.#profiles.set(update.id, update.value);
      if (update.kind === "workloadEndpoint") this.#endpoints.set(update.id, update.value);
    }
  }

  /** The rule that decided a check of a pod; undefined where there is none. */
  ruleOf(
    check: Check,
    pod: { readonly namespace: string; readonly name: string },
  ): KernelRule | undefined {
    const { decision } = check;
    const direction = check.direction === "Ingress" ? "ingress" : "egress";
    if (decision.kind === "rule") {
      const policy = this.#policies.get(decision.id);
      if (policy === undefined) return undefined;
      const render = (count: number) =>
        policyChains(
          decision.id,
          { ...policy, [direction]: policy[direction].slice(0, count) },
          this.#context,
        );
      return verdictRule(policyChainName(decision.id, direction), decision.index, render);
    }
    if (decision.kind === "profile") {
      const { name } = decision.policy;
      const profile = this.#profiles.get(name);
      if (profile === undefined) return undefined;
      const render = (count: number) =>
        profileChains(
          name,
          { ...profile, [direction]: profile[direction].slice(0, count) },
          this.#context,
        );
      return verdictRule(profileChainName(name, direction), decision.index, render);
    }
    const endpoint = this.#endpoints.get(endpointId({ kind: "WorkloadEndpoint", ...pod }));
    const comment =
      decision.kind === "end of tier" ? `End of tier ${decision.tier}. ` : "if no profiles matched";
    if (endpoint === undefined) return undefined;
    const chains = workloadEndpointChains(endpoint, this.#policies, this.#context.config);
    const name = endpointChainName(endpoint.interfaceName, direction);
    return ruleAt(name, chains, (chain) =>
      chain.rules.findIndex(({ comments = [] }) => comments.some((one) => one.includes(comment))),
    );
  }
}

/**
 * The rule that holds the whole match of our rule `index`: those of a rule are blocks, if any, then it,
 * then the one that acts on the mark that it set.
 */
function verdictRule(
  name: string,
  index: number,
  render: (count: number) => readonly Chain[],
): KernelRule | undefined {
  const lengthOf = (count: number) => {
    const chain = render(count).find((one) => one.name === name);
    // A chain of no rules still has one that carries its comment.
    return count === 0 ? 0 : (chain?.rules.length ?? 0);
  };
  const end = lengthOf(index + 1);
  if (end === lengthOf(index)) return undefined;
  return ruleAt(name, render(Number.POSITIVE_INFINITY), ({ rules }) => {
    const last = rules[end - 1];
    const acts = last?.action?.kind === "setMark" || last?.action?.kind === "log";
    return acts ? end - 1 : end - 2;
  });
}

function ruleAt(
  name: string,
  chains: readonly Chain[],
  indexOf: (chain: Chain) => number,
): KernelRule | undefined {
  const chain = chains.find((one) => one.name === name);
  if (chain === undefined) return undefined;
  const hash = renderChain(chain, features).hashes[indexOf(chain)];
  return hash === undefined ? undefined : { chain: name, hash };
}
