import type { Chain } from "../../kernel/iptables/model.ts";
import { compareText } from "../../lib/collections.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { LocalEndpoint } from "../calc/updates.ts";
import { net } from "./match.ts";
import { chains } from "./names.ts";

/** What pods send that leave the cluster, with the code point that they ask for (facts 4.5). */
export function egressDscpChain(endpoints: Iterable<LocalEndpoint>, family: IpFamily): Chain {
  return {
    name: chains.egressDscp,
    rules: dscpSources(endpoints, family).map(({ address, value }) => ({
      match: [net("source", address)],
      action: { kind: "dscp", value },
    })),
  };
}

/** Addresses of pods that ask for a code point, sorted. */
export function dscpSources(
  endpoints: Iterable<LocalEndpoint>,
  family: IpFamily,
): { readonly address: IpAddr; readonly value: number }[] {
  return [...endpoints]
    .flatMap(({ addresses, qos }) => {
      const value = qos?.dscp;
      return value === undefined ? [] : addresses.map((address) => ({ address, value }));
    })
    .filter(({ address }) => ipFamily(address) === family)
    .sort((a, b) => compareText(a.address, b.address));
}
