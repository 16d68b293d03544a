import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { WorkloadEndpointSpec } from "../resources/workload-endpoint.ts";

type Nat = NonNullable<WorkloadEndpointSpec["ipNATs"]>[number];

/** Each floating address to the pod's own of its family; one without such is left out (facts 2.6). */
export function floatingNats(floating: readonly IpAddr[], own: readonly IpAddr[]): readonly Nat[] {
  return floating.flatMap((externalIP): Nat[] => {
    const internalIP = own.find((address) => ipFamily(address) === ipFamily(externalIP));
    return internalIP === undefined ? [] : [{ internalIP, externalIP }];
  });
}
