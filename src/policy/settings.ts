import type { FelixConfiguration } from "../api/resources/felix-configuration.ts";
import { type Prefix, parseInterfaceAddress, prefixOf } from "../lib/prefix.ts";
import { protocolNumber } from "./protocols.ts";

/** What of Felix's configuration decides about packets (facts appendix A). */
export interface PolicySettings {
  readonly endpointToHost: "ACCEPT" | "DROP" | "RETURN";
  readonly vxlanPort: number;
  readonly vxlanFromWorkloads: boolean;
  readonly ipipFromWorkloads: boolean;
  readonly failsafeInbound: readonly FailsafePort[];
  readonly failsafeOutbound: readonly FailsafePort[];
}

/** A port of a host that no policy closes (facts 4.10). */
export interface FailsafePort {
  readonly protocol: number;
  readonly port: number;
  /** The other end. Absent: any. */
  readonly net?: Prefix;
}

const tcp = 6;
const udp = 17;
const everywhere = [179, 2379, 2380, 5473, 6443, 6666, 6667].map((port) => ({
  protocol: tcp,
  port,
}));

/** Facts 4.10 and appendix A. */
export const defaultSettings: PolicySettings = {
  endpointToHost: "DROP",
  vxlanPort: 4789,
  vxlanFromWorkloads: false,
  ipipFromWorkloads: false,
  failsafeInbound: [{ protocol: tcp, port: 22 }, { protocol: udp, port: 68 }, ...everywhere],
  failsafeOutbound: [{ protocol: udp, port: 53 }, { protocol: udp, port: 67 }, ...everywhere],
};

/** The settings of FelixConfiguration "default"; what it does not say is as Calico has it. */
export function settingsOf({ spec }: FelixConfiguration): PolicySettings {
  const action = String(spec["defaultEndpointToHostAction"] ?? "DROP").toUpperCase();
  return {
    endpointToHost: action === "ACCEPT" || action === "RETURN" ? action : "DROP",
    vxlanPort: Number(spec["vxlanPort"] ?? defaultSettings.vxlanPort),
    vxlanFromWorkloads: spec["allowVXLANPacketsFromWorkloads"] === true,
    ipipFromWorkloads: spec["allowIPIPPacketsFromWorkloads"] === true,
    failsafeInbound:
      failsafePorts(spec["failsafeInboundHostPorts"]) ?? defaultSettings.failsafeInbound,
    failsafeOutbound:
      failsafePorts(spec["failsafeOutboundHostPorts"]) ?? defaultSettings.failsafeOutbound,
  };
}

function failsafePorts(given: unknown): FailsafePort[] | undefined {
  if (!Array.isArray(given)) return undefined;
  return given.map((item: { protocol?: string; port: number; net?: string }) => ({
    protocol: protocolNumber(item.protocol ?? "tcp") ?? tcp,
    port: item.port,
    ...(item.net === undefined ? {} : { net: networkOf(item.net) }),
  }));
}

function networkOf(text: string): Prefix {
  const { address, length } = parseInterfaceAddress(text);
  return prefixOf(address, length);
}
