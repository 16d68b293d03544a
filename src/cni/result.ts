import { type IpAddr, ipFamily } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";

export interface AddResult {
  readonly cniVersion: string;
  readonly addresses: readonly IpAddr[];
  readonly hostInterface: { readonly name: string; readonly mac: string };
  readonly podInterface: {
    readonly name: string;
    readonly mac: string;
    readonly netnsPath: string;
  };
}

/** The success object of the CNI version asked for: its shape changed at 0.3.0 and at 1.0.0. */
export function renderResult(result: AddResult): object {
  const { cniVersion } = result;
  if (cniVersion === "0.1.0" || cniVersion === "0.2.0") return oldResult(result);
  const withVersion = cniVersion.startsWith("0.");
  return {
    cniVersion,
    interfaces: [
      { name: result.hostInterface.name, mac: result.hostInterface.mac },
      {
        name: result.podInterface.name,
        mac: result.podInterface.mac,
        sandbox: result.podInterface.netnsPath,
      },
    ],
    ips: result.addresses.map((address) => ({
      ...(withVersion ? { version: String(ipFamily(address)) } : {}),
      interface: 1,
      address: hostPrefix(address),
    })),
    dns: {},
  };
}

function oldResult({ cniVersion, addresses }: AddResult): object {
  const of = (family: 4 | 6) => addresses.find((address) => ipFamily(address) === family);
  const [v4, v6] = [of(4), of(6)];
  return {
    cniVersion,
    ...(v4 === undefined ? {} : { ip4: { ip: hostPrefix(v4) } }),
    ...(v6 === undefined ? {} : { ip6: { ip: hostPrefix(v6) } }),
    dns: {},
  };
}
