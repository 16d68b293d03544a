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

/** What both OPENs agree on. `session`: the timers are those of the FSM. Pure. */
export function negotiate(
  config: PeerConfig,
  { local, remote }: { readonly local: OpenMessage; readonly remote: OpenMessage },
  session: {
    readonly holdSeconds: number;
    readonly keepaliveSeconds: number;
    readonly localAddress: IpAddr;
    readonly peerAddress: IpAddr;
  },
): Negotiated {
  const both = (kind: Capability["kind"]) => has(local, kind) && has(remote, kind);
  const families = familiesOf(remote).filter((family) => config.families.includes(family));
  return {
    ...session,
    families,
    fourOctetAs: both("fourOctetAs"),
    routeRefresh: both("routeRefresh"),
    enhancedRouteRefresh: both("enhancedRouteRefresh"),
    peerRouterId: remote.routerId,
    peerAs: remote.asn,
    ...gracefulRestart(local, remote),
    ...longLivedGracefulRestart(local, remote),
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
