import { type IpAddr, type IpFamily, ipFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { type Prefix, parseInterfaceAddress, prefixOf } from "../lib/prefix.ts";
import { CniError, cniCodes } from "./cni-error.ts";

/** What annotations of a pod, or of its namespace, ask of its addresses (facts 3.8 and 6.8 point 8). */
export interface AddressAnnotations {
  /** Names or CIDRs. */
  readonly ipv4Pools?: readonly string[];
  readonly ipv6Pools?: readonly string[];
  readonly families?: ReadonlySet<IpFamily>;
  /** Addresses to be taken from IPAM: one a family at most. */
  readonly addresses?: readonly IpAddr[];
  /** Addresses that IPAM is not asked for. */
  readonly addressesWithoutIpam?: readonly IpAddr[];
  /** Addresses from outside that lead to the pod's own of their family. */
  readonly floating?: readonly IpAddr[];
  readonly hwAddr?: string;
  /** Sources beside its own addresses that the pod may send from. */
  readonly allowedSources?: readonly Prefix[];
}

export type Annotations = Readonly<Record<string, unknown>>;

const prefix = "cni.projectcalico.org/";

/** @throws {CniError} that names the annotation and its value. */
export function addressAnnotations(annotations: Annotations): AddressAnnotations {
  const addresses = onePerFamily(annotations, "ipAddrs");
  const addressesWithoutIpam = onePerFamily(annotations, "ipAddrsNoIpam");
  if (addresses !== undefined && addressesWithoutIpam !== undefined) {
    throw annotationError("ipAddrsNoIpam", addressesWithoutIpam, "absent where ipAddrs is given");
  }
  return withoutAbsent({
    ...poolAnnotations(annotations),
    families: familiesOf(annotations),
    addresses,
    addressesWithoutIpam,
    floating: floatingOf(annotations),
    hwAddr: hwAddrOf(annotations),
    allowedSources: allowedSourcesOf(annotations),
  });
}

/** The pools alone: what a namespace may ask for its pods. */
export function poolAnnotations(
  annotations: Annotations,
): Pick<AddressAnnotations, "ipv4Pools" | "ipv6Pools"> {
  return withoutAbsent({
    ipv4Pools: listOf(annotations, "ipv4pools"),
    ipv6Pools: listOf(annotations, "ipv6pools"),
  });
}

type Present<T> = { readonly [Name in keyof T]?: Exclude<T[Name], undefined> };

function withoutAbsent<T extends object>(fields: T): Present<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Present<T>;
}

function listOf(annotations: Annotations, name: string): readonly string[] | undefined {
  const text = annotations[prefix + name];
  if (text === undefined || text === null) return undefined;
  const list = parsed(text);
  if (Array.isArray(list) && list.every((item) => typeof item === "string")) return list;
  throw annotationError(name, text, "a JSON list of strings");
}

function parsed(text: unknown): unknown {
  if (typeof text !== "string") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function addressesOf(annotations: Annotations, name: string): readonly IpAddr[] | undefined {
  const texts = listOf(annotations, name);
  if (texts === undefined) return undefined;
  const bad = texts.find((text) => !isIpAddr(text));
  if (bad !== undefined) throw annotationError(name, bad, "a list of addresses");
  return texts.map(parseIpAddr);
}

/** An empty list asks for nothing. */
function floatingOf(annotations: Annotations): readonly IpAddr[] | undefined {
  const addresses = addressesOf(annotations, "floatingIPs");
  return addresses?.length === 0 ? undefined : addresses;
}

function onePerFamily(annotations: Annotations, name: string): readonly IpAddr[] | undefined {
  const addresses = addressesOf(annotations, name);
  if (addresses === undefined) return undefined;
  const families = new Set(addresses.map(ipFamily));
  if (addresses.length > 0 && families.size === addresses.length) return addresses;
  throw annotationError(name, addresses, "one address a family");
}

function familiesOf(annotations: Annotations): ReadonlySet<IpFamily> | undefined {
  const names = listOf(annotations, "ipFamilies");
  if (names === undefined) return undefined;
  const known: Readonly<Record<string, IpFamily>> = { IPv4: 4, IPv6: 6 };
  const families = names.map((name) => (Object.hasOwn(known, name) ? known[name] : undefined));
  if (families.length > 0 && families.every((family) => family !== undefined)) {
    return new Set(families);
  }
  throw annotationError("ipFamilies", names, '"IPv4", "IPv6" or both');
}

function hwAddrOf(annotations: Annotations): string | undefined {
  const text = annotations[`${prefix}hwAddr`];
  if (text === undefined || text === null) return undefined;
  if (typeof text === "string" && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    return text.toLowerCase();
  }
  throw annotationError("hwAddr", text, "a MAC address");
}

/** CIDRs, or addresses alone. */
function allowedSourcesOf(annotations: Annotations): readonly Prefix[] | undefined {
  return listOf(annotations, "allowedSourcePrefixes")?.map((text) => {
    try {
      const { address, length } = parseInterfaceAddress(text);
      return prefixOf(address, length);
    } catch {
      throw annotationError("allowedSourcePrefixes", text, "a list of CIDRs");
    }
  });
}

function annotationError(name: string, value: unknown, want: string): CniError {
  return new CniError(
    cniCodes.invalidConfig,
    `Cannot accept the annotation ${prefix}${name}: it must be ${want}`,
    `got ${JSON.stringify(value)}`,
  );
}
