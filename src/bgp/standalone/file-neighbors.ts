import type { Asn } from "../../lib/asn.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { Secret } from "../../lib/secret.ts";
import { defaultPort } from "../config/bgp-nodes.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { BfdConfig, DynamicPeers } from "../peer/peer.ts";
import type { PeerPolicy } from "../policy/peer-policy.ts";
import { defined } from "./defined.ts";
import { type FileFilters, filtersNamed } from "./file-filters.ts";
import { type Files, readPassword } from "./password-file.ts";
import type { Placed } from "./read.ts";
import type { NeighborValues } from "./values.ts";

type DynamicNeighbor = NonNullable<SpeakerConfig["dynamicPeers"]>[number];

/** What neighbors are made with. */
export interface NeighborContext {
  readonly asn: Asn;
  readonly routerId: number;
  readonly clusterId: number;
  readonly filters: FileFilters;
  readonly files: Files;
}

const proposed = {
  holdSeconds: 90,
  connectRetrySeconds: 5,
  gracefulRestartSeconds: 120,
};
const defaultLimit = 1000;
const bfdDefaults: BfdConfig = {
  minReceiveMs: 300,
  minTransmitMs: 300,
  multiplier: 3,
  multihop: false,
};
const nextHopModes = { auto: "Auto", self: "Self", keep: "Keep" } as const;

/** One entry of `neighbors`: a peer, or a prefix of peers. Undefined: it cannot be used. */
export function readNeighbor(
  neighbor: Placed<NeighborValues>,
  context: NeighborContext,
): SpeakerPeer | DynamicNeighbor | undefined {
  const { value, at } = neighbor;
  const policy = policyOf(value, context);
  const { address, prefix, limit } = value;
  if (prefix !== undefined) {
    if (address !== undefined) at.wrong("must have address or prefix, not both");
    const template = templateOf(neighbor, prefixFamily(prefix.value), context);
    checkDynamic(neighbor);
    if (template === undefined) return undefined;
    const peers = { prefix: prefix.value, template, limit: limit?.value ?? defaultLimit };
    return { peers, policy, ...describedBy(value) };
  }
  if (limit !== undefined) limit.at.wrong("is for neighbors with a prefix");
  const isUnsaid = !at.entries()?.some(({ key }) => key === "address" || key === "prefix");
  if (isUnsaid) at.wrong("address or prefix is missing");
  if (address === undefined) return undefined;
  checkAddress(value, address);
  const template = templateOf(neighbor, ipFamily(address.value), context);
  if (template === undefined) return undefined;
  const name = value.name?.value ?? defaultName(value, address.value);
  const { passive } = value;
  const config = { name, address: address.value, passive: passive?.value ?? false, ...template };
  return { type: "Static", config, policy, origin: at.field, ...describedBy(value) };
}

function describedBy({ description }: NeighborValues): Pick<SpeakerPeer, "description"> {
  return description === undefined ? {} : { description };
}

/** Everything of a session that does not depend on the peer's address. */
function templateOf(
  { value }: Placed<NeighborValues>,
  family: IpFamily,
  { asn, routerId, clusterId, files }: NeighborContext,
): DynamicPeers["template"] | undefined {
  const { localAs = asn, routeReflectorClient, families, password: given } = value;
  const password = given?.file === undefined ? undefined : readPassword(given.file, files);
  const isClient = routeReflectorClient?.value === true;
  if (isClient && value.asn !== undefined && value.asn !== localAs) {
    routeReflectorClient.at.wrong(`a client must be of our AS ${localAs}`, String(value.asn));
  }
  if (value.asn === undefined) return undefined;
  return {
    ...proposed,
    port: value.port ?? defaultPort,
    remoteAs: value.asn,
    localAs,
    localRouterId: routerId,
    families: families === undefined || families.length === 0 ? [family] : [...new Set(families)],
    ...defined({
      localAddress: value.localAddress?.value,
      reflectorClient: isClient ? { clusterId } : undefined,
      bfd: value.bfd === undefined ? undefined : { ...bfdDefaults, ...value.bfd },
      shutdown:
        value.shutdown?.message === undefined ? undefined : { message: value.shutdown.message },
    }),
    ...timersOf(value),
    ...capabilitiesOf(value, password),
  };
}

function timersOf(value: NeighborValues) {
  const { holdSeconds, keepaliveSeconds, connectRetrySeconds, delayOpenSeconds } = value;
  const { idleHoldSeconds, gracefulRestartSeconds, longLivedStaleSeconds } = value;
  return defined({
    holdSeconds,
    keepaliveSeconds,
    connectRetrySeconds,
    delayOpenSeconds,
    idleHoldSeconds,
    gracefulRestartSeconds,
    longLivedStaleSeconds,
  });
}

function capabilitiesOf(value: NeighborValues, password: Secret | undefined) {
  const { zone, ttlSecurityHops, addPath, extendedMessages, extendedNextHop } = value;
  return defined({ zone, password, ttlSecurityHops, addPath, extendedMessages, extendedNextHop });
}

/** The file says itself what goes where: nothing of Calico's export rules applies. */
function policyOf(value: NeighborValues, { filters }: NeighborContext): PeerPolicy {
  const { maxPrefixes, defaultOriginate, addPathLimit } = value;
  return {
    nextHopMode: nextHopModes[value.nextHop ?? "auto"],
    allowedLocalAs: value.allowedLocalAs ?? 0,
    exportScope: "all",
    ...defined({
      importFilters: filtersNamed(value.importFilters, filters),
      exportFilters: filtersNamed(value.exportFilters, filters),
      maxPrefixes,
      defaultOriginate,
      addPathLimit,
    }),
  };
}

function checkAddress({ zone, localAddress }: NeighborValues, { value, at }: Placed<IpAddr>): void {
  if (/^fe[89ab]/.test(value) && zone === undefined) {
    at.wrong("a link-local address needs zone, the name of its interface");
  }
  if (localAddress !== undefined && ipFamily(localAddress.value) !== ipFamily(value)) {
    localAddress.at.wrong(`must be of the family of ${value}`);
  }
}

/** Of no use where nobody is connected to. */
const addressOnly = ["name", "zone", "port", "connectRetrySeconds"];

function checkDynamic({ value, at }: Placed<NeighborValues>): void {
  const { passive, localAddress, prefix } = value;
  if (passive?.value === false) passive.at.wrong("neighbors with a prefix are passive");
  for (const { key, value: place } of at.entries() ?? []) {
    if (addressOnly.includes(key)) place.wrong("is for neighbors with an address");
  }
  if (localAddress === undefined || prefix === undefined) return;
  if (ipFamily(localAddress.value) !== prefixFamily(prefix.value as Prefix)) {
    localAddress.at.wrong(`must be of the family of ${prefix.value}`);
  }
}

/** Session name as in facts 5.16: "Static_10_0_0_2", "Static_10_0_0_2_port_1790". */
function defaultName({ port = defaultPort, zone }: NeighborValues, address: IpAddr): string {
  const where = zone === undefined ? address : `${address}_${zone}`;
  const name = `Static_${where.replaceAll(/[^A-Za-z0-9-]/g, "_")}`;
  return port === defaultPort ? name : `${name}_port_${port}`;
}
