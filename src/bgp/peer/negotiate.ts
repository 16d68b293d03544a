import type { IpAddr } from "../../lib/ip-addr.ts";
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

/** Our OPEN for a peer. Pure. */
export function localOpen(config: PeerConfig, restart: LocalRestart): OpenMessage {
  const capabilities: Capability[] = config.families.map((family) => ({
    kind: "multiprotocol",
    afi: afiOf(family),
    safi: safiUnicast,
  }));
  capabilities.push({ kind: "routeRefresh" });
  if (config.gracefulRestartSeconds > 0) {
    capabilities.push({
      kind: "gracefulRestart",
      restarting: restart.restarting,
      restartSeconds: Math.min(config.gracefulRestartSeconds, 4095),
      families: config.families.map((family) => ({
        afi: afiOf(family),
        safi: safiUnicast,
        forwarding: restart.forwardingKept,
      })),
    });
  }
  capabilities.push({ kind: "fourOctetAs", asn: config.localAs });
  return {
    kind: "open",
    asn: config.localAs,
    holdSeconds: config.holdSeconds,
    routerId: config.localRouterId,
    capabilities,
  };
}

/** What both OPENs agree on. `timers` are those of the FSM. Pure. */
export function negotiate(
  config: PeerConfig,
  open: OpenMessage,
  session: {
    readonly holdSeconds: number;
    readonly keepaliveSeconds: number;
    readonly localAddress: IpAddr;
    readonly peerAddress: IpAddr;
  },
): Negotiated {
  const families = familiesOf(open).filter((family) => config.families.includes(family));
  const restart = open.capabilities.find(({ kind }) => kind === "gracefulRestart");
  return {
    ...session,
    families,
    fourOctetAs: open.capabilities.some(({ kind }) => kind === "fourOctetAs"),
    routeRefresh: open.capabilities.some(({ kind }) => kind === "routeRefresh"),
    peerRouterId: open.routerId,
    peerAs: open.asn,
    ...(restart?.kind === "gracefulRestart" && { gracefulRestart: restartOf(restart) }),
  };
}

function restartOf(
  capability: Extract<Capability, { kind: "gracefulRestart" }>,
): NonNullable<Negotiated["gracefulRestart"]> {
  const { restarting, restartSeconds } = capability;
  const known = capability.families.flatMap(({ afi, safi, forwarding }) => {
    const family = familyOf(afi, safi);
    return family === undefined ? [] : [{ family, forwarding }];
  });
  return {
    restarting,
    restartSeconds,
    families: known.map(({ family }) => family),
    forwardingKept: known.filter(({ forwarding }) => forwarding).map(({ family }) => family),
  };
}
