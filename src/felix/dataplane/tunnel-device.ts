import type { Kernel, KernelLink } from "../../kernel/kernel.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { MacAddr } from "../../lib/mac.ts";

/** What a tunnel device that is there must be like. */
export interface TunnelDevice {
  /** Only of devices that have one. */
  readonly mac?: MacAddr;
  readonly mtu: number;
  readonly family: IpFamily;
  /** The node's tunnel address: the only one of its family on the device. Undefined: it has none yet. */
  readonly address: IpAddr | undefined;
}

/**
 * The device that is there, if any.
 *
 * @throws {Error} when it is another's, of another kind: it is neither used nor removed.
 */
export function presentDevice(
  link: KernelLink | undefined,
  type: string,
  name: string,
): KernelLink | undefined {
  if (link === undefined || link.type === type) return link;
  throw new Error(
    `Cannot use ${name} as a tunnel: it is a ${link.type ?? "physical"} link, not ${type}`,
  );
}

/** Sets what differs, and up. */
export async function repairTunnelDevice(
  device: KernelLink,
  { mac, mtu, family, address }: TunnelDevice,
  kernel: Kernel,
): Promise<void> {
  const change = {
    ...(mac === undefined || device.mac === mac ? {} : { mac }),
    ...(device.mtu === mtu ? {} : { mtu }),
    ...(device.up ? {} : { up: true }),
  };
  if (Object.keys(change).length > 0) await kernel.links.set(device.ifindex, change);
  const length = family === 4 ? 32 : 128;
  const { ifindex } = device;
  const addresses = await kernel.addresses.list({ ifindex, family });
  for (const { address: present, length: has, scope } of addresses) {
    if (scope === "link" || (present === address && has === length)) continue;
    await kernel.addresses.remove({ ifindex, address: present, length: has });
  }
  if (address === undefined) return;
  if (addresses.some((present) => present.address === address && present.length === length)) return;
  // Nobody else is on the device whom an IPv6 address could be looked for among.
  await kernel.addresses.add({ ifindex, address, length, noDad: true });
}
