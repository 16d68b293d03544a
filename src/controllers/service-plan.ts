import type { Service } from "../api/resources/kubernetes.ts";
import type { Allocation } from "../ipam/audit.ts";
import type { Pool } from "../ipam/pools.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import type { ServiceWish } from "./service-wish.ts";

/** What is to be done so that a Service has the addresses that it is to have. */
export interface ServicePlan {
  readonly keep: readonly Allocation[];
  readonly release: readonly Allocation[];
  /** These, by name. */
  readonly assign: readonly IpAddr[];
  /** One of each, whichever. */
  readonly assignAny: readonly IpFamily[];
}

/** `held` is what the Service's handle has. Pure. */
export function planService(
  wish: ServiceWish,
  held: readonly Allocation[],
  pools: readonly Pool[],
): ServicePlan {
  const keep: Allocation[] = [];
  for (const allocation of held) {
    if (isWished(wish, allocation, pools) && !keep.some((other) => sameFamily(other, allocation))) {
      keep.push(allocation);
    }
  }
  const kept = new Set(keep.map(({ address }) => address));
  const families = new Set(keep.map(({ address }) => ipFamily(address)));
  return {
    keep,
    release: held.filter(({ address }) => !kept.has(address)),
    assign: (wish.addresses ?? []).filter((address) => !kept.has(address)),
    assignAny:
      wish.addresses === undefined ? wish.families.filter((family) => !families.has(family)) : [],
  };
}

function isWished(
  wish: ServiceWish,
  { address, pool }: Allocation,
  pools: readonly Pool[],
): boolean {
  if (wish.addresses !== undefined) return wish.addresses.includes(address);
  const family = ipFamily(address);
  const among = wish.pools[family];
  if (!wish.families.includes(family)) return false;
  if (among === undefined) return true;
  const cidr = pools.find(({ name }) => name === pool)?.cidr;
  return among.some((wanted) => wanted === pool || wanted === cidr);
}

function sameFamily(a: Allocation, b: Allocation): boolean {
  return ipFamily(a.address) === ipFamily(b.address);
}

/** The Service with exactly these addresses in its status; undefined when it has them already. */
export function withIngress(service: Service, addresses: readonly IpAddr[]): Service | undefined {
  const present = service.status?.loadBalancer?.ingress ?? [];
  const ingress = addresses.map((ip) => present.find((each) => each.ip === ip) ?? { ip });
  const same =
    present.length === ingress.length && ingress.every((each, index) => each === present[index]);
  if (same) return undefined;
  const { ingress: _ingress, ...others } = service.status?.loadBalancer ?? {};
  const loadBalancer = { ...others, ...(ingress.length === 0 ? {} : { ingress }) };
  return { ...service, status: { ...service.status, loadBalancer } };
}

/** Addresses of the status that are not in `gone`. */
export function ingressWithout(service: Service, gone: ReadonlySet<string>): IpAddr[] {
  const present = service.status?.loadBalancer?.ingress ?? [];
  return present.flatMap(({ ip }) => (ip === undefined || gone.has(ip) ? [] : [ip as IpAddr]));
}
