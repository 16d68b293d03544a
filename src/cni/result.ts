import { type IpAddr, ipFamily } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";
import { type Json, objectList, section } from "./config-fields.ts";
import { type CniVersion, isSince } from "./versions.ts";

export interface AddResult {
  readonly cniVersion: CniVersion;
  readonly addresses: readonly IpAddr[];
  readonly hostInterface: { readonly name: string; readonly mac: string };
  readonly podInterface: {
    readonly name: string;
    readonly mac: string;
    readonly netnsPath: string;
    /** 0: not known. */
    readonly mtu: number;
  };
}

/**
 * What the plugin before us in the chain left, or what the chain left at the end of ADD. Of the version
 * of the call, as all results of a chain are.
 */
export interface PreviousResult {
  readonly interfaces: readonly Json[];
  readonly ips: readonly Json[];
  readonly routes: readonly Json[];
  readonly dns: Json;
}

/** Undefined when there is none. Before 0.3.0 there were no chains. */
export function previousResult(config: Json, version: CniVersion): PreviousResult | undefined {
  if (config["prevResult"] === undefined || config["prevResult"] === null) return undefined;
  const result = section(config, "prevResult");
  if (!isSince(version, "0.3.0")) return undefined;
  const list = (field: string) => objectList(result[field], `prevResult.${field}`);
  return {
    interfaces: list("interfaces"),
    ips: list("ips"),
    routes: list("routes"),
    dns: section(result, "dns"),
  };
}

/** The success object of the version asked for: its shape changed at 0.3.0, at 1.0.0 and at 1.1.0. */
export function renderResult(result: AddResult, previous?: PreviousResult): object {
  const { cniVersion, hostInterface, podInterface } = result;
  if (!isSince(cniVersion, "0.3.0")) return oldResult(cniVersion, result.addresses);
  const { name, mac, netnsPath: sandbox, mtu } = podInterface;
  const withMtu = isSince(cniVersion, "1.1.0") && mtu > 0;
  const before = previous?.interfaces ?? [];
  return {
    cniVersion,
    interfaces: [
      ...before,
      { name: hostInterface.name, mac: hostInterface.mac },
      { name, mac, sandbox, ...(withMtu ? { mtu } : {}) },
    ],
    ips: [
      ...(previous?.ips ?? []),
      ...addressesOf(result, cniVersion, { interface: before.length + 1 }),
    ],
    ...(previous === undefined || previous.routes.length === 0 ? {} : { routes: previous.routes }),
    dns: previous?.dns ?? {},
  };
}

/** The result of an IPAM plugin: it knows no interfaces. */
export function renderAddresses(cniVersion: CniVersion, addresses: readonly IpAddr[]): object {
  if (!isSince(cniVersion, "0.3.0")) return oldResult(cniVersion, addresses);
  return { cniVersion, ips: addressesOf({ addresses }, cniVersion, {}), dns: {} };
}

function addressesOf(
  { addresses }: Pick<AddResult, "addresses">,
  cniVersion: CniVersion,
  more: { readonly interface?: number },
): object[] {
  return addresses.map((address) => ({
    ...(isSince(cniVersion, "1.0.0") ? {} : { version: String(ipFamily(address)) }),
    ...more,
    address: hostPrefix(address),
  }));
}

function oldResult(cniVersion: CniVersion, addresses: readonly IpAddr[]): object {
  const of = (family: 4 | 6) => addresses.find((address) => ipFamily(address) === family);
  const [v4, v6] = [of(4), of(6)];
  return {
    cniVersion,
    ...(v4 === undefined ? {} : { ip4: { ip: hostPrefix(v4) } }),
    ...(v6 === undefined ? {} : { ip6: { ip: hostPrefix(v6) } }),
    dns: {},
  };
}
