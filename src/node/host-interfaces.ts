import type { Kernel } from "../kernel/kernel.ts";
import { groupBy } from "../lib/collections.ts";
import { type IpAddr, ipBits, ipFamily } from "../lib/ip-addr.ts";
import { type InterfaceAddress, parsePrefix, prefixHasAddress } from "../lib/prefix.ts";

/** One network interface of the host, with its addresses in the kernel's order. */
export interface HostInterface {
  readonly name: string;
  readonly ifindex: number;
  readonly up: boolean;
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
}

/**
 * All interfaces of the kernel's network namespace, without temporary addresses: a node whose address
 * were one would be another every day.
 */
export async function hostInterfaces(
  kernel: Pick<Kernel, "links" | "addresses">,
): Promise<HostInterface[]> {
  const [links, addresses] = await Promise.all([kernel.links.list(), kernel.addresses.list()]);
  const byIndex = groupBy(addresses, ({ ifindex }) => ifindex);
  return links.map(({ name, ifindex, up, mtu }) => ({
    name,
    ifindex,
    up,
    mtu,
    addresses: (byIndex.get(ifindex) ?? [])
      .filter(({ temporary }) => temporary !== true)
      .map(({ address, length }) => ({ address, length })),
  }));
}

const notGlobal = [
  "0.0.0.0/32",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/4",
  "255.255.255.255/32",
]
  .concat(["::/128", "::1/128", "fe80::/10", "ff00::/8"])
  .map(parsePrefix);

/** A unicast address that is good beyond its link. Private ranges are. */
export function isGlobalUnicast(address: IpAddr): boolean {
  return !notGlobal.some((prefix) => prefixHasAddress(prefix, address));
}

/** "address/length", host bits kept. */
export function addressText({ address, length }: InterfaceAddress): string {
  return `${address}/${length}`;
}

/** The interface address that is exactly `address`, with the length of its network. */
export function ownAddress(
  interfaces: readonly HostInterface[],
  address: IpAddr,
): InterfaceAddress | undefined {
  const bits = ipBits(address);
  return interfaces
    .flatMap(({ addresses }) => addresses)
    .find((own) => ipFamily(own.address) === ipFamily(address) && ipBits(own.address) === bits);
}
