import type { Chain, Rule, Side } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import { accepts, net, port, protocol } from "./match.ts";
import { chains } from "./names.ts";
import type { FailsafePort, RulesConfig } from "./rules-config.ts";

/**
 * cali-failsafe-in and -out: what keeps a host reachable whatever its policies say (facts 4.5). Where
 * there is no connection tracking yet, answers are let through by their source port as well: else an
 * untracked policy would lock the host out.
 */
export function failsafeChains(
  table: "raw" | "mangle" | "filter",
  config: RulesConfig,
  family: IpFamily,
): Chain[] {
  const { failsafeInbound: inbound, failsafeOutbound: outbound } = config;
  const answers = table !== "filter";
  const rules = (ports: readonly FailsafePort[], portSide: Side, peer: Side) =>
    ports.flatMap((one) => failsafeRule(one, { portSide, peer, family }));
  return [
    {
      name: chains.failsafeIn,
      rules: [
        ...rules(inbound, "destination", "source"),
        ...(answers ? rules(outbound, "source", "source") : []),
      ],
    },
    {
      name: chains.failsafeOut,
      rules: [
        ...rules(outbound, "destination", "destination"),
        ...(answers ? rules(inbound, "source", "destination") : []),
      ],
    },
  ];
}

function failsafeRule(
  failsafe: FailsafePort,
  place: { readonly portSide: Side; readonly peer: Side; readonly family: IpFamily },
): Rule[] {
  const match = [protocol(failsafe.protocol), port(place.portSide, failsafe.port)];
  if (failsafe.net === undefined) return [{ match, action: accepts }];
  if (prefixFamily(failsafe.net) !== place.family) return [];
  return [{ match: [...match, net(place.peer, failsafe.net)], action: accepts }];
}
