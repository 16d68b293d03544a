import type { Chain, TableName } from "../../kernel/iptables/model.ts";
import type { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { KeptValue } from "../../lib/kept-value.ts";
import type { Prefix } from "../../lib/prefix.ts";
import { egressDscpChain } from "../rules/dscp-chain.ts";
import { rpfSkipChain } from "../rules/endpoint-chains.ts";
import {
  cidrBlockChain,
  floatingIpChains,
  natOutgoingChain,
  staticNatChains,
} from "../rules/nat-chains.ts";
import { droppingConfig, type RulesConfig, untrackedConfig } from "../rules/rules-config.ts";
import { staticMangleChains, staticRawChains } from "../rules/static-chains.ts";
import { staticFilterChains } from "../rules/static-filter-chains.ts";
import type { EndpointManager } from "./endpoint-manager.ts";
import type { HostEndpointManager } from "./host-endpoint-manager.ts";
import type { PolicyManager } from "./policy-manager.ts";

export interface RuleParts {
  readonly endpoints: EndpointManager;
  readonly hosts: HostEndpointManager;
  readonly policies: PolicyManager;
  readonly natOutgoing: boolean;
  readonly serviceCidrs: readonly Prefix[];
}

/** Every chain of one family, by table. What follows from the configuration alone is made once. */
export class RuleSet {
  readonly #family: IpFamily;
  readonly #raw = new KeptValue<readonly Chain[]>();
  readonly #mangle = new KeptValue<readonly Chain[]>();
  readonly #nat = new KeptValue<readonly Chain[]>();
  readonly #filter = new KeptValue<readonly Chain[]>();

  constructor(family: IpFamily) {
    this.#family = family;
  }

  chains(
    { endpoints, hosts, policies, natOutgoing, serviceCidrs }: RuleParts,
    rules: RulesConfig,
    onRefused: (id: string, error: InputError) => void,
  ): Record<TableName, readonly Chain[]> {
    const family = this.#family;
    const local = [...endpoints.active().values()];
    const hostContext = { policies: policies.policies, config: rules };
    const filterPolicies = policies.chains(rules, family, onRefused);
    return {
      raw: [
        ...this.#raw.of([rules], () => staticRawChains(rules, family)),
        rpfSkipChain(rules.allowSourceSpoofing ? local : [], family),
        ...hosts.rawChains(hostContext),
        ...policies.chainsOf(hosts.rawUses, untrackedConfig(rules), family),
      ],
      mangle: [
        ...this.#mangle.of([rules], () => staticMangleChains(rules, family)),
        egressDscpChain(local, family),
        ...hosts.mangleChains(hostContext),
        ...policies.chainsOf(hosts.mangleUses, droppingConfig(rules), family),
      ],
      nat: [
        ...this.#nat.of([rules], () => staticNatChains(rules, family)),
        ...floatingIpChains(rules.floatingIps ? local : [], family),
        natOutgoingChain(natOutgoing, rules, family),
      ],
      filter: [
        ...this.#filter.of([rules, serviceCidrs], () => [
          ...staticFilterChains(rules, family),
          cidrBlockChain(serviceCidrs, rules, family),
        ]),
        ...endpoints.chains(policies, rules),
        ...hosts.filterChains(hostContext),
        ...filterPolicies,
      ],
    };
  }
}
