import { keyOf } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { CalcGraph, endpointId } from "../../felix/calc/calc-graph.ts";
import type {
  ActivePolicy,
  ActiveProfile,
  LocalEndpoint,
  LocalHostEndpoint,
} from "../../felix/calc/updates.ts";
import { felixConfig } from "../../felix/config/felix-config.ts";
import { workloadEndpointChains } from "../../felix/rules/endpoint-chains.ts";
import {
  hostFilterChains,
  hostMangleChains,
  hostRawChains,
} from "../../felix/rules/host-endpoint-chains.ts";
import {
  allInterfaces,
  type Direction,
  endpointChainName,
  hostEndpointChainName,
  hostForwardChainName,
  policyChainName,
  profileChainName,
} from "../../felix/rules/names.ts";
import { policyChains, profileChains, type RuleContext } from "../../felix/rules/policy-chains.ts";
import { droppingConfig, untrackedConfig } from "../../felix/rules/rules-config.ts";
import type { Chain, Rule, TableName } from "../../kernel/iptables/model.ts";
import { renderChain } from "../../kernel/iptables/rendered-chain.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Check, Stage } from "../../policy/verdict.ts";

/** Where in a node's kernel a decision is made. */
export interface KernelRule {
  readonly table: TableName;
  readonly chain: string;
  /** Of the comment "cali:HASH". */
  readonly hash: string;
}

/** Rules have the same text with every iptables of today. */
const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };

const tableOfStage: Readonly<Record<Stage, TableName>> = {
  untracked: "raw",
  preDNAT: "mangle",
  normal: "filter",
  forward: "filter",
};

/** The chains that felix writes on one node of a cluster. */
export class NodeChains {
  readonly #policies = new Map<string, ActivePolicy>();
  readonly #profiles = new Map<string, ActiveProfile>();
  readonly #endpoints = new Map<string, LocalEndpoint>();
  readonly #hosts = new Map<string, LocalHostEndpoint>();
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
      if (update.kind === "hostEndpoint") this.#hosts.set(update.id, update.value);
    }
  }

  /** The rule that decided a check of the endpoint; undefined where there is none. */
  ruleOf(check: Check, endpoint: WorkloadEndpoint | HostEndpoint): KernelRule | undefined {
    const { decision, stage } = check;
    const table = tableOfStage[stage];
    const direction = check.direction === "Ingress" ? "ingress" : "egress";
    switch (decision.kind) {
      case "rule":
        return this.#ruleOfPolicy(decision.id, decision.index, { table, direction });
      case "profile":
        return this.#ruleOfProfile(decision.policy.name, decision.index, { table, direction });
      case "end of tier":
        return this.#ruleOfEnd(endpoint, `End of tier ${decision.tier}. `, {
          table,
          direction,
          stage,
        });
      case "no profile matched":
        return this.#ruleOfEnd(endpoint, "if no profiles matched", { table, direction, stage });
      default:
        return undefined;
    }
  }

  #ruleOfPolicy(id: string, index: number, { table, direction }: Place): KernelRule | undefined {
    const policy = this.#policies.get(id);
    if (policy === undefined) return undefined;
    const render = (count: number) =>
      policyChains(
        id,
        { ...policy, [direction]: policy[direction].slice(0, count) },
        this.#contextOf(table),
      );
    return verdictRule({ table, chain: policyChainName(id, direction) }, index, render);
  }

  #ruleOfProfile(name: string, index: number, { table, direction }: Place): KernelRule | undefined {
    const profile = this.#profiles.get(name);
    if (profile === undefined) return undefined;
    const render = (count: number) =>
      profileChains(
        name,
        { ...profile, [direction]: profile[direction].slice(0, count) },
        this.#contextOf(table),
      );
    return verdictRule({ table, chain: profileChainName(name, direction) }, index, render);
  }

  /** What the endpoint's own chain does with what nobody has accepted. */
  #ruleOfEnd(
    endpoint: WorkloadEndpoint | HostEndpoint,
    comment: string,
    place: Place & { readonly stage: Stage },
  ): KernelRule | undefined {
    const own =
      endpoint.kind === "WorkloadEndpoint"
        ? this.#chainOfWorkload(endpoint, place.direction)
        : this.#chainOfHost(endpoint.metadata.name, place);
    if (own === undefined) return undefined;
    const { chain, chains } = own;
    return ruleAt({ table: place.table, chain }, chains, ({ rules }) =>
      rules.findIndex(({ comments = [] }) => comments.some((one) => one.includes(comment))),
    );
  }

  #chainOfWorkload(wep: WorkloadEndpoint, direction: Direction) {
    const { namespace = "default", name } = wep.metadata;
    const endpoint = this.#endpoints.get(endpointId({ kind: wep.kind, namespace, name }));
    if (endpoint === undefined) return undefined;
    return {
      chain: endpointChainName(endpoint.interfaceName, direction),
      chains: workloadEndpointChains(endpoint, this.#policies, this.#context.config),
    };
  }

  /** Its chains are named after its interface: not known of one that is found by its addresses. */
  #chainOfHost(name: string, { table, direction, stage }: Place & { readonly stage: Stage }) {
    const endpoint = this.#hosts.get(name);
    if (endpoint?.interfaceName === undefined) return undefined;
    const suffix = endpoint.interfaceName === "*" ? allInterfaces : endpoint.interfaceName;
    const nameOf = stage === "forward" ? hostForwardChainName : hostEndpointChainName;
    const context = { policies: this.#policies, config: this.#context.config };
    const renderers = { filter: hostFilterChains, mangle: hostMangleChains, raw: hostRawChains };
    const render = renderers[table as keyof typeof renderers];
    return { chain: nameOf(suffix, direction), chains: render(suffix, endpoint, context) };
  }

  #contextOf(table: TableName): RuleContext {
    const { config, family } = this.#context;
    if (table === "raw") return { config: untrackedConfig(config), family };
    return { config: table === "filter" ? config : droppingConfig(config), family };
  }
}

interface Place {
  readonly table: TableName;
  readonly direction: Direction;
}

type ChainPlace = Pick<KernelRule, "table" | "chain">;

/**
 * The rule that holds the whole match of our rule `index`: those of a rule are blocks, if any, then it,
 * then those that tell of and act on the mark that it set.
 */
function verdictRule(
  place: ChainPlace,
  index: number,
  render: (count: number) => readonly Chain[],
): KernelRule | undefined {
  const lengthOf = (count: number) => {
    const chain = render(count).find((one) => one.name === place.chain);
    // A chain of no rules still has one that carries its comment, and does nothing.
    return chain?.rules.filter(({ action }) => action !== undefined).length ?? 0;
  };
  const end = lengthOf(index + 1);
  if (end === lengthOf(index)) return undefined;
  return ruleAt(place, render(Number.POSITIVE_INFINITY), ({ rules }) => {
    const matches = (rule: Rule) => rule.action?.kind === "setMark" || rule.action?.kind === "log";
    return rules.slice(0, end).findLastIndex(matches);
  });
}

function ruleAt(
  place: ChainPlace,
  chains: readonly Chain[],
  indexOf: (chain: Chain) => number,
): KernelRule | undefined {
  const chain = chains.find((one) => one.name === place.chain);
  if (chain === undefined) return undefined;
  const hash = renderChain(chain, features).hashes[indexOf(chain)];
  return hash === undefined ? undefined : { ...place, hash };
}
