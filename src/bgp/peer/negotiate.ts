import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { familiesOf } from "../fsm/open-check.ts";
import { afiOf, familyOf, safiUnicast } from "../wire/family.ts";
import type { Capability, OpenMessage } from "../wire/message.ts";
import type { Negotiated, PeerConfig } from "./peer.ts";

/** What our own OPEN says of a restart (RFC 4724 section 3). */
export interface LocalRestart {
  /** We have restarted and our routes are not complete yet. */
  readonly restarting: boolean;
  /** Our kernel still forwards by the routes of before. */
  readonly forwardingKept: boolean;
}

type Of<Kind extends Capability["kind"]> = Extract<Capability, { kind: Kind }>;

/** Largest values that fit their fields (RFC 4724 section 3, RFC 9494 section 3.1). */
const maxRestartSeconds = 4095;
const maxStaleSeconds = 0xffffff;

/** Our OPEN for a peer. Pure. */
export function localOpen(config: PeerConfig, restart: LocalRestart): OpenMessage {
  return {
    kind: "open",
    asn: config.localAs,
    holdSeconds: config.holdSeconds,
    routerId: config.localRouterId,
    capabilities: [
      ...config.families.map((family) => ({ kind: "multiprotocol", ...unicast(family) }) as const),
      { kind: "routeRefresh" },
      { kind: "enhancedRouteRefresh" },
      ...restartCapabilities(config, restart),
      ...addPathCapability(config),
      ...extendedMessageCapability(config),
      ...extendedNextHopCapability(config),
      { kind: "fourOctetAs", asn: config.localAs },
    ],
  };
}

function unicast(family: IpFamily): { readonly afi: number; readonly safi: number } {
  return { afi: afiOf(family), safi: safiUnicast };
}

/** Graceful restart, and the long-lived one that needs it (RFC 9494 section 3.1). */
function restartCapabilities(config: PeerConfig, restart: LocalRestart): Capability[] {
  const { families, gracefulRestartSeconds, longLivedStaleSeconds = 0 } = config;
  if (gracefulRestartSeconds <= 0) return [];
  const forwarding = restart.forwardingKept;
  const graceful: Capability = {
    kind: "gracefulRestart",
    restarting: restart.restarting,
    notification: true,
    restartSeconds: Math.min(gracefulRestartSeconds, maxRestartSeconds),
    families: families.map((family) => ({ ...unicast(family), forwarding })),
  };
  if (longLivedStaleSeconds <= 0) return [graceful];
  const staleSeconds = Math.min(longLivedStaleSeconds, maxStaleSeconds);
  const stale = families.map((family) => ({ ...unicast(family), forwarding, staleSeconds }));
  return [graceful, { kind: "longLivedGracefulRestart", families: stale }];
}

function addPathCapability({ addPath = {}, families }: PeerConfig): Capability[] {
  const entries = families.flatMap((family) => {
    const mode = addPath[family];
    return mode === undefined ? [] : [{ ...unicast(family), mode }];
  });
  return entries.length === 0 ? [] : [{ kind: "addPath", families: entries }];
}

function extendedMessageCapability({ extendedMessages = true }: PeerConfig): Capability[] {
  return extendedMessages ? [{ kind: "extendedMessage" }] : [];
}

function extendedNextHopCapability({ extendedNextHop, families }: PeerConfig): Capability[] {
  if (extendedNextHop !== true || !families.includes(4)) return [];
  const entry = { ...unicast(4), nextHopAfi: afiOf(6) };
  return [{ kind: "extendedNextHop", families: [entry] }];
}

/**
 * The same for a peer that takes no optional parameters (RFC 5492 section 3): IPv4 unicast in a 2-octet
 * AS, if that is of any use. Pure.
 */
export function withoutCapabilities(open: OpenMessage): OpenMessage {
  const isUseful = familiesOf(open).includes(4) && open.asn <= 0xffff;
  return isUseful ? { ...open, capabilities: [] } : open;
}

/** What both OPENs agree on. `session`: the timers are those of the FSM. Pure. */
export function negotiate(
  { local, remote }: { readonly local: OpenMessage; readonly remote: OpenMessage },
  session: {
    readonly holdSeconds: number;
    readonly keepaliveSeconds: number;
    readonly localAddress: IpAddr;
    readonly peerAddress: IpAddr;
  },
): Negotiated {
  const both = (kind: Capability["kind"]) => has(local, kind) && has(remote, kind);
  const own = familiesOf(local);
  const families = familiesOf(remote).filter((family) => own.includes(family));
  return {
    ...session,
    families,
    fourOctetAs: both("fourOctetAs"),
    routeRefresh: both("routeRefresh"),
    enhancedRouteRefresh: both("enhancedRouteRefresh"),
    extendedMessages: both("extendedMessage"),
    peerRouterId: remote.routerId,
    peerAs: remote.asn,
    ...gracefulRestart(local, remote),
    ...longLivedGracefulRestart(local, remote),
    ...addPath(local, remote),
    extendedNextHop: hasIpv6NextHop(local) && hasIpv6NextHop(remote),
    capabilities: { local: local.capabilities, remote: remote.capabilities },
  };
}

function has({ capabilities }: OpenMessage, kind: Capability["kind"]): boolean {
  return capabilities.some((capability) => capability.kind === kind);
}

/** Of several of one kind the last counts (RFC 5492 section 4). */
function find<Kind extends Capability["kind"]>(
  { capabilities }: OpenMessage,
  kind: Kind,
): Of<Kind> | undefined {
  return capabilities.findLast((each): each is Of<Kind> => each.kind === kind);
}

/** Known families of a list in a capability, with what it says of them. */
function known<Entry extends { readonly afi: number; readonly safi: number }>(
  entries: readonly Entry[],
): (Entry & { readonly family: IpFamily })[] {
  return entries.flatMap((entry) => {
    const family = familyOf(entry.afi, entry.safi);
    return family === undefined ? [] : [{ ...entry, family }];
  });
}

/** The peer's word (RFC 4724 section 3), and whether both said the N bit (RFC 8538 section 2). */
function gracefulRestart(
  local: OpenMessage,
  remote: OpenMessage,
): Pick<Negotiated, "gracefulRestart"> {
  const [ours, theirs] = [find(local, "gracefulRestart"), find(remote, "gracefulRestart")];
  if (theirs === undefined) return {};
  const { restarting, restartSeconds } = theirs;
  const families = known(theirs.families);
  return {
    gracefulRestart: {
      restarting,
      restartSeconds,
      families: families.map(({ family }) => family),
      forwardingKept: families.filter(({ forwarding }) => forwarding).map(({ family }) => family),
      notification: ours?.notification === true && theirs.notification === true,
    },
  };
}

/** Only with graceful restart, and in families that both said (RFC 9494 section 3.1). */
function longLivedGracefulRestart(
  local: OpenMessage,
  remote: OpenMessage,
): Pick<Negotiated, "longLivedGracefulRestart"> {
  const kind = "longLivedGracefulRestart";
  const [ours, theirs] = [find(local, kind), find(remote, kind)];
  if (ours === undefined || theirs === undefined || !has(remote, "gracefulRestart")) return {};
  const own = known(ours.families).map(({ family }) => family);
  const common = known(theirs.families).filter(({ family }) => own.includes(family));
  return {
    longLivedGracefulRestart: common.map(({ family, forwarding, staleSeconds }) => ({
      family,
      forwarding,
      staleSeconds,
    })),
  };
}

type AddPathMode = Of<"addPath">["families"][number]["mode"];

/** What one side sends the other must want to receive (RFC 7911 section 4). */
function addPath(local: OpenMessage, remote: OpenMessage): Pick<Negotiated, "addPath"> {
  const [ours, theirs] = [find(local, "addPath"), find(remote, "addPath")];
  if (ours === undefined || theirs === undefined) return {};
  const doing = (capability: Of<"addPath">, act: AddPathMode) =>
    known(capability.families)
      .filter(({ mode }) => mode === act || mode === "both")
      .map(({ family }) => family);
  const [wanted, offered] = [doing(theirs, "receive"), doing(theirs, "send")];
  return {
    addPath: {
      receive: doing(ours, "receive").filter((family) => offered.includes(family)),
      send: doing(ours, "send").filter((family) => wanted.includes(family)),
    },
  };
}

/** IPv4 unicast routes may have an IPv6 next hop (RFC 8950 section 4). */
function hasIpv6NextHop(open: OpenMessage): boolean {
  const families = find(open, "extendedNextHop")?.families ?? [];
  return known(families).some(({ family, nextHopAfi }) => family === 4 && nextHopAfi === afiOf(6));
}
