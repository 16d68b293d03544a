import type { Chain } from "../../kernel/iptables/model.ts";
import type { LocalHostEndpoint } from "../calc/updates.ts";
import { type EndpointChain, type EndpointContext, endpointChain } from "./endpoint-chains.ts";
import { accepts, returns } from "./match.ts";
import { chains, type Direction, hostEndpointChainName, hostForwardChainName } from "./names.ts";
import { endpointGroupChains } from "./policy-groups.ts";
import { droppingConfig, filterAllow, mangleAllow } from "./rules-config.ts";

/**
 * Chains of a host endpoint, by table (facts 4.6): "cali-fh-" for what comes in by its interface,
 * "cali-th-" for what goes out, "cali-fhfw-" and "cali-thfw-" for what is only forwarded. `name` is
 * the interface's.
 */

/** Normal policies, and those that apply on forward. */
export function hostFilterChains(
  name: string,
  endpoint: LocalHostEndpoint,
  context: EndpointContext,
): Chain[] {
  const { tiers, forwardTiers, profiles } = endpoint;
  const allow = filterAllow(context.config);
  const normal = (direction: Direction) =>
    endpointChain(
      { ...hostChain(name, direction), stage: "normal", tiers, profiles, allow },
      context,
    );
  const forward = (direction: Direction) =>
    endpointChain(
      {
        name: hostForwardChainName(name, direction),
        stage: "forward",
        direction,
        tiers: forwardTiers,
        profiles: [],
        allow,
      },
      context,
    );
  return [
    ...directions.flatMap((direction) => [normal(direction), forward(direction)]),
    ...endpointGroupChains([...tiers, ...forwardTiers], context.policies, context.config),
  ];
}

/**
 * Pre-DNAT policies on what comes in. What the host sends and NAT turns round meets the normal
 * policies here: in the filter table its interface was not known yet. There, to accept is to return.
 */
export function hostMangleChains(
  name: string,
  endpoint: LocalHostEndpoint,
  { policies, config }: EndpointContext,
): Chain[] {
  const { tiers, preDnatTiers, profiles } = endpoint;
  const context = { policies, config: droppingConfig(config) };
  const egress: EndpointChain = {
    ...hostChain(name, "egress"),
    stage: "normal",
    tiers,
    profiles,
    allow: returns,
  };
  const ingress: EndpointChain = {
    ...hostChain(name, "ingress"),
    stage: "preDnat",
    tiers: preDnatTiers,
    profiles: [],
    allow: mangleAllow(config),
  };
  return [
    endpointChain(egress, context),
    ...(preDnatTiers.length > 0 ? [endpointChain(ingress, context)] : []),
    ...endpointGroupChains([...tiers, ...preDnatTiers], policies, context.config),
  ];
}

/** Untracked policies. */
export function hostRawChains(
  name: string,
  { untrackedTiers: tiers }: LocalHostEndpoint,
  { policies, config }: EndpointContext,
): Chain[] {
  const context = { policies, config: droppingConfig(config) };
  const untracked = { stage: "untracked", tiers, profiles: [], allow: accepts } as const;
  return [
    ...directions.map((direction) =>
      endpointChain({ ...hostChain(name, direction), ...untracked }, context),
    ),
    ...endpointGroupChains(tiers, policies, context.config),
  ];
}

const directions: readonly Direction[] = ["egress", "ingress"];

function hostChain(name: string, direction: Direction) {
  return {
    name: hostEndpointChainName(name, direction),
    direction,
    failsafe: direction === "ingress" ? chains.failsafeIn : chains.failsafeOut,
  };
}
