import { errnos } from "../../kernel/ip/requests.ts";
import type { KernelFailure, KernelRoute, RouteTable } from "../../kernel/kernel.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix } from "../../lib/prefix.ts";

/** Before any route of ours. */
const leadPriority = 1;

/**
 * Adds or replaces routes. The gateway of an IPv6 route through a tunnel is the tunnel address of a
 * node, which lies in a block: mostly in the one that the route leads to. Linux refuses such a route
 * while it would reach the gateway by another device (`ip6_route_check_nh_onlink`), as it does where
 * that block was routed by one until now. Then a route to the gateway alone is there meanwhile, so that
 * the block is never without a route.
 *
 * @returns what failed.
 */
export async function replaceRoutes(
  routes: readonly KernelRoute[],
  table: Pick<RouteTable, "replace" | "remove">,
): Promise<readonly KernelFailure<KernelRoute>[]> {
  const failures = await table.replace(routes);
  const refused = failures.filter(isRefusedGateway).map(({ entry }) => entry);
  if (refused.length === 0) return failures;
  const leads = refused.flatMap(leadTo);
  await table.replace(leads);
  const again = await table.replace(refused);
  await table.remove(leads);
  return [...failures.filter((failure) => !isRefusedGateway(failure)), ...again];
}

function isRefusedGateway({ entry, errno }: KernelFailure<KernelRoute>): boolean {
  const { gateway, onlink } = entry;
  return (
    errno === errnos.EINVAL && onlink === true && gateway !== undefined && ipFamily(gateway) === 6
  );
}

function leadTo({ gateway, onlink: _onlink, ...route }: KernelRoute): KernelRoute[] {
  if (gateway === undefined) return [];
  return [{ ...route, destination: hostPrefix(gateway), priority: leadPriority }];
}
