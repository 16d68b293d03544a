import type { BGPConfiguration } from "../../api/resources/bgp.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";

/**
 * CIDRs of which services have their addresses (facts 4.5): what no service takes must not be led round
 * in circles between this node and its router.
 *
 * @throws when one of them is none.
 */
export function serviceCidrs({ spec }: BGPConfiguration): Prefix[] {
  const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs } = spec;
  return [serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs].flatMap((list) =>
    (list ?? []).map(({ cidr }) => parsePrefix(cidr)),
  );
}
