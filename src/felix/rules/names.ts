import { chainName, kernelSetName, maxChainNameLength } from "../../api/names.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { PolicyShortKind } from "../calc/updates.ts";

/** Names that Calico gives to chains and sets (facts 4.3, 4.5, 4.6). */

export const chains = {
  prerouting: "cali-PREROUTING",
  input: "cali-INPUT",
  forward: "cali-FORWARD",
  output: "cali-OUTPUT",
  postrouting: "cali-POSTROUTING",
  workloadToHost: "cali-wl-to-host",
  fromWorkloadDispatch: "cali-from-wl-dispatch",
  toWorkloadDispatch: "cali-to-wl-dispatch",
  fromHostEndpoint: "cali-from-host-endpoint",
  toHostEndpoint: "cali-to-host-endpoint",
  fromHostEndpointForward: "cali-from-hep-forward",
  toHostEndpointForward: "cali-to-hep-forward",
  failsafeIn: "cali-failsafe-in",
  failsafeOut: "cali-failsafe-out",
  cidrBlock: "cali-cidr-block",
  egressDscp: "cali-egress-dscp",
  rpfSkip: "cali-rpf-skip",
  wireguardIncomingMark: "cali-wireguard-incoming-mark",
  natOutgoing: "cali-nat-outgoing",
  floatingDnat: "cali-fip-dnat",
  floatingSnat: "cali-fip-snat",
} as const;

/** Ids of the sets that static chains match on. */
export const staticSets = {
  allHosts: "all-hosts-net",
  allVxlan: "all-vxlan-net",
  masqueradedPools: "masq-ipam-pools",
  allPools: "network-ip-pools",
  thisHost: "this-host",
  dscpSources: "dscp-src-net",
} as const;

export type Direction = "ingress" | "egress";

/** Kernel name of a set, by its id. */
export function setName(id: string, family: IpFamily): string {
  return kernelSetName(id, family);
}

/** `id` is "<shortkind>/<ns>/<name>" or "<shortkind>/<name>". */
export function policyChainName(id: string, direction: Direction): string {
  return legalChainName(direction === "ingress" ? "cali-pi-" : "cali-po-", id);
}

export function profileChainName(profile: string, direction: Direction): string {
  return legalChainName(direction === "ingress" ? "cali-pri-" : "cali-pro-", profile);
}

/** Ingress is what goes to the pod. */
export function endpointChainName(interfaceName: string, direction: Direction): string {
  return legalChainName(direction === "ingress" ? "cali-tw-" : "cali-fw-", interfaceName);
}

/** To and from a host endpoint: what the host sends is egress, what it receives ingress. */
export function hostEndpointChainName(interfaceName: string, direction: Direction): string {
  return legalChainName(direction === "ingress" ? "cali-fh-" : "cali-th-", interfaceName);
}

/** The same for what is only forwarded. */
export function hostForwardChainName(interfaceName: string, direction: Direction): string {
  return legalChainName(direction === "ingress" ? "cali-fhfw-" : "cali-thfw-", interfaceName);
}

/** In chain names, for a host endpoint of all interfaces: too long to be one's name. */
export const allInterfaces = "any-interface-at-all";

/** Kind of a policy as comments spell it. */
export const kindOfShortKind: Readonly<Record<PolicyShortKind, string>> = {
  np: "NetworkPolicy",
  gnp: "GlobalNetworkPolicy",
  knp: "KubernetesNetworkPolicy",
  kcnp: "KubernetesClusterNetworkPolicy",
};

/** A chain of a name that iptables cannot carry has a hashed name: one too long is always hashed. */
function legalChainName(prefix: string, id: string): string {
  const legal = /^[\w.:/+=@-]*$/.test(id);
  return chainName(prefix, legal ? id : id.padEnd(maxChainNameLength));
}
