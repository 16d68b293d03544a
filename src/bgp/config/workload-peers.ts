import type { BGPPeerSpec } from "../../api/resources/bgp.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { evaluateSelector } from "../../api/selector/evaluate.ts";
import { parseSelector } from "../../api/selector/parser.ts";
import { parseAsn } from "../../lib/asn.ts";
import { compareText } from "../../lib/collections.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { parseInterfaceAddress } from "../../lib/prefix.ts";
import { defaultPort } from "./bgp-nodes.ts";
import { isGivenAs } from "./peer-fields.ts";
import type { Remote } from "./peers.ts";

/**
 * The local pods that a BGPPeer is with (facts 5.11): by the first address of each family.
 *
 * Differs from upstream: only labels of the endpoint itself are compared, not those of its profiles.
 *
 * @throws {SyntaxError} when selector or AS number cannot be read.
 */
export function workloadRemotes(
  { localWorkloadSelector = "", asNumber }: BGPPeerSpec,
  workloads: readonly WorkloadEndpoint[],
): Remote[] {
  const selector = parseSelector(localWorkloadSelector);
  if (!isGivenAs(asNumber)) throw new SyntaxError("localWorkloadSelector needs asNumber");
  const common = { port: defaultPort, asn: parseAsn(asNumber), calicoNode: false };
  return workloads
    .filter(({ metadata }) => evaluateSelector(selector, metadata.labels ?? {}))
    .sort((a, b) => compareText(keyOf(a), keyOf(b)))
    .flatMap(({ spec: { ipNetworks = [] } }) => {
      const addresses = ipNetworks.map((net) => parseInterfaceAddress(net).address);
      const firsts = ([4, 6] as const).map((family) =>
        addresses.find((address) => ipFamily(address) === family),
      );
      return firsts.flatMap((address) => (address === undefined ? [] : [{ ...common, address }]));
    });
}

function keyOf({ metadata: { namespace = "", name } }: WorkloadEndpoint): string {
  return `${namespace}/${name}`;
}
