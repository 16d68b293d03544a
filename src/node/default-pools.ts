import { calicoApiVersion } from "../api/meta.ts";
import { encapsulationAnnotation } from "../api/pool-encapsulation.ts";
import type { EncapMode, IPPool } from "../api/resources/ip-pool.ts";
import { parseSelector } from "../api/selector/parser.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import {
  type Prefix,
  parsePrefix,
  prefixFamily,
  prefixHasAddress,
  prefixLength,
} from "../lib/prefix.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface PoolSurroundings {
  /** CIDRs of the pools that are there. */
  readonly existing: readonly string[];
  /** Addresses of the host: the default pool must hold none of them. */
  readonly hostAddresses: readonly IpAddr[];
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
  /** Five random octets, for an IPv6 unique local prefix (RFC 4193 section 3.2). */
  readonly globalId: Uint8Array;
}

const names: Readonly<Record<IpFamily, string>> = {
  4: "default-ipv4-ippool",
  6: "default-ipv6-ippool",
};
const blockSizes = {
  4: { least: 20, most: 32, usual: 26 },
  6: { least: 116, most: 128, usual: 122 },
} as const;

/**
 * Pools to create at start: one of each family that has none at all (facts 1.1). Read from
 * CALICO_IPV4POOL_* and CALICO_IPV6POOL_*; NO_DEFAULT_POOLS=true means none.
 *
 * @throws {InputError} that names the variable and its value.
 */
export function defaultPools(env: Env, surroundings: PoolSurroundings): IPPool[] {
  if (flag(env, "NO_DEFAULT_POOLS", false)) return [];
  const has = (family: IpFamily) =>
    surroundings.existing.some((cidr) => cidr.includes(":") === (family === 6));
  const families: IpFamily[] = surroundings.ipv6 ? [4, 6] : [4];
  return families.flatMap((family) => {
    if (has(family)) return [];
    const cidr = poolCidr(env, family, surroundings);
    return cidr === undefined ? [] : [poolOf(env, family, cidr)];
  });
}

function poolCidr(env: Env, family: IpFamily, surroundings: PoolSurroundings): Prefix | undefined {
  const variable = `CALICO_IPV${family}POOL_CIDR`;
  const text = env[variable]?.trim() ?? "";
  if (text.toLowerCase() === "none") return undefined;
  if (text !== "") {
    const cidr = parsed(variable, text, parsePrefix);
    if (prefixFamily(cidr) === family) return cidr;
    throw new InputError(`Cannot use ${variable} "${text}": it must be IPv${family}`);
  }
  if (family === 6) return uniqueLocalPrefix(surroundings.globalId);
  const free = privateRanges().find((range) =>
    surroundings.hostAddresses.every(
      (address) => ipFamily(address) !== 4 || !prefixHasAddress(range, address),
    ),
  );
  if (free !== undefined) return free;
  throw new InputError(
    `Cannot choose ${variable}: the host has addresses in every private range, so set it`,
  );
}

/** 192.168.0.0/16 first, as ever. */
function privateRanges(): Prefix[] {
  const of172 = Array.from({ length: 16 }, (_, i) => `172.${16 + i}.0.0/16`);
  const of10 = Array.from({ length: 256 }, (_, i) => `10.${(244 + i) % 256}.0.0/16`);
  return ["192.168.0.0/16", ...of172, ...of10].map(parsePrefix);
}

function uniqueLocalPrefix(globalId: Uint8Array): Prefix {
  const hex = (i: number) => (globalId[i] ?? 0).toString(16).padStart(2, "0");
  const groups = [`fd${hex(0)}`, hex(1) + hex(2), hex(3) + hex(4)];
  return parsePrefix(
    `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/48`,
  );
}

function poolOf(env: Env, family: IpFamily, cidr: Prefix): IPPool {
  const prefix = `CALICO_IPV${family}POOL`;
  const blockSize = blockSizeOf(env, family, cidr);
  const ipipMode = family === 4 ? encapMode(env, `${prefix}_IPIP`) : "Never";
  const vxlanMode = encapMode(env, `${prefix}_VXLAN`);
  if (ipipMode !== "Never" && vxlanMode !== "Never") {
    throw new InputError(
      `Cannot use ${prefix}_IPIP "${env[`${prefix}_IPIP`]}" with ${prefix}_VXLAN "${env[`${prefix}_VXLAN`]}": one must be Never`,
    );
  }
  const udpVariable = `TORTIE_IPV${family}POOL_UDP`;
  const udpMode = encapMode(env, udpVariable);
  if (udpMode !== "Never" && (ipipMode !== "Never" || vxlanMode !== "Never")) {
    throw new InputError(
      `Cannot use ${udpVariable} "${env[udpVariable]}": ${prefix}_IPIP and ${prefix}_VXLAN must be Never`,
    );
  }
  const selector = env[`${prefix}_NODE_SELECTOR`]?.trim() || "all()";
  parsed(`${prefix}_NODE_SELECTOR`, selector, parseSelector);
  return {
    apiVersion: calicoApiVersion,
    kind: "IPPool",
    metadata: { name: names[family], ...annotated(udpMode) },
    spec: {
      cidr,
      blockSize,
      ipipMode,
      vxlanMode,
      natOutgoing: flag(env, `${prefix}_NAT_OUTGOING`, family === 4),
      nodeSelector: selector,
      disableBGPExport: flag(env, `${prefix}_DISABLE_BGP_EXPORT`, false),
      allowedUses: ["Workload", "Tunnel"],
    },
  };
}

/** Our own: Calico's pools have no field for it. */
function annotated(udpMode: EncapMode): Pick<IPPool["metadata"], "annotations"> {
  if (udpMode === "Never") return {};
  const value = udpMode === "CrossSubnet" ? "UDPCrossSubnet" : "UDP";
  return { annotations: { [encapsulationAnnotation]: value } };
}

function blockSizeOf(env: Env, family: IpFamily, cidr: Prefix): number {
  const variable = `CALICO_IPV${family}POOL_BLOCK_SIZE`;
  const { least, most, usual } = blockSizes[family];
  const text = env[variable]?.trim() || String(usual);
  const size = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(size >= least && size <= most)) {
    throw new InputError(`Cannot use ${variable} "${text}": it must be ${least} to ${most}`);
  }
  if (size >= prefixLength(cidr)) return size;
  throw new InputError(
    `Cannot use ${variable} "${text}": the pool ${cidr} is smaller than one such block`,
  );
}

function encapMode(env: Env, variable: string): EncapMode {
  const text = env[variable]?.trim() ?? "";
  const modes: Readonly<Record<string, EncapMode>> = {
    "": "Never",
    off: "Never",
    never: "Never",
    always: "Always",
    crosssubnet: "CrossSubnet",
    "cross-subnet": "CrossSubnet",
  };
  const mode = modes[text.toLowerCase()];
  if (mode !== undefined) return mode;
  throw new InputError(`Cannot use ${variable} "${text}": it must be Never, Always or CrossSubnet`);
}

/** @throws {InputError} */
export function flag(env: Env, variable: string, otherwise: boolean): boolean {
  const text = env[variable]?.trim().toLowerCase() ?? "";
  if (text === "") return otherwise;
  if (["true", "1", "yes", "on"].includes(text)) return true;
  if (["false", "0", "no", "off"].includes(text)) return false;
  throw new InputError(`Cannot use ${variable} "${env[variable]}": it must be true or false`);
}

function parsed<Value>(variable: string, text: string, parse: (text: string) => Value): Value {
  try {
    return parse(text);
  } catch (error) {
    throw new InputError(`Cannot use ${variable} "${text}": ${errorMessage(error)}`);
  }
}
