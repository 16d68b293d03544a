import type { NetworkInterfaceInfo } from "node:os";
import { type IpAddr, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";

/** As os.networkInterfaces() lists them. */
export type InterfaceAddresses = Readonly<
  Record<string, readonly Pick<NetworkInterfaceInfo, "address">[] | undefined>
>;

/**
 * The address of the other family on the interface that has `address`: the next hop "self" in that
 * family. Undefined when there is none that others can use. Pure.
 */
export function addressBeside(address: IpAddr, interfaces: InterfaceAddresses): IpAddr | undefined {
  for (const infos of Object.values(interfaces)) {
    const addresses = (infos ?? []).map((info) => parseIpAddr(info.address));
    if (!addresses.includes(address)) continue;
    return addresses.find((each) => ipFamily(each) !== ipFamily(address) && isGlobal(each));
  }
  return undefined;
}

function isGlobal(address: IpAddr): boolean {
  return !/^(fe[89ab]|127\.|::1$)/.test(address);
}
