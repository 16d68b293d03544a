import type { KernelFailure, KernelRoute, RouteTable } from "../../kernel/kernel.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix, prefixHasAddress } from "../../lib/prefix.ts";

/** Before any route of ours. */
const leadPriority = 1;

/**
 * Adds or replaces routes. One of IPv6 may lead to a block by a gateway in that block, the tunnel
 * address of its node: Linux refuses it while it would reach the gateway by another device, and that it
 * does when the block was routed by one until now (`ip6_route_check_nh_onlink`). Then a route to the
 * gateway alone is there meanwhile, so that the block is never without a route.
 *
 * @returns what failed.
 */
export async function replaceRoutes(
  routes: readonly KernelRoute[],
  table: Pick<RouteTable, "replace" | "remove">,
): Promise<readonly KernelFailure<KernelRoute>[]> {
  const failures = await table.replace(routes);
  const refused = failures.map(({ entry }) => entry).filter(leadsByItself);
  if (refused.length === 0) return failures;
  const leads = refused.flatMap(leadTo);
  await table.replace(leads);
  const again = await table.replace(refused);
  await table.remove(leads);
  return [...failures.filter(({ entry }) => !leadsByItself(entry)), ...again];
}

function leadsByItself({ destination, gateway }: KernelRoute): boolean {
  return gateway !== undefined && ipFamily(gateway) === 6 && prefixHasAddress(destination, gateway);
}

function leadTo({ gateway, onlink: _onlink, ...route }: KernelRoute): KernelRoute[] {
  if (gateway === undefined) return [];
  return [{ ...route, destination: hostPrefix(gateway), priority: leadPriority }];
}
