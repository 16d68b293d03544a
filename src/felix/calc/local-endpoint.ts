import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { parseIpAddr } from "../../lib/ip-addr.ts";
import { parseMac } from "../../lib/mac.ts";
import { parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import { endpointQos } from "./endpoint-qos.ts";
import type {
  EndpointTier,
  HostEndpointTiers,
  LocalEndpoint,
  LocalHostEndpoint,
} from "./updates.ts";

/** Endpoints of this node as the dataplane has them. */

export function localEndpoint(
  { spec }: WorkloadEndpoint,
  tiers: readonly EndpointTier[],
): LocalEndpoint {
  const qos = endpointQos(spec.qosControls);
  return {
    interfaceName: spec.interfaceName,
    ...(spec.mac ? { mac: parseMac(spec.mac) } : {}),
    addresses: (spec.ipNetworks ?? []).map((text) => parseInterfaceAddress(text).address),
    tiers,
    profiles: spec.profiles ?? [],
    allowedSourcePrefixes: (spec.allowSpoofedSourcePrefixes ?? []).map((text) => {
      const { address, length } = parseInterfaceAddress(text);
      return prefixOf(address, length);
    }),
    floating: (spec.ipNATs ?? []).map(({ internalIP, externalIP }) => ({
      internal: parseIpAddr(internalIP),
      external: parseIpAddr(externalIP),
    })),
    ...(qos === undefined ? {} : { qos }),
  };
}

export function localHostEndpoint(
  { spec }: HostEndpoint,
  tiers: HostEndpointTiers,
): LocalHostEndpoint {
  return {
    ...(spec.interfaceName ? { interfaceName: spec.interfaceName } : {}),
    expectedAddresses: (spec.expectedIPs ?? []).map(parseIpAddr),
    profiles: spec.profiles ?? [],
    ...tiers,
  };
}
