import { bgpAnnotationsOf } from "../../api/bgp-annotations.ts";
import type { BGPPeer, BGPPeerSpec } from "../../api/resources/bgp.ts";
import { parseAsn } from "../../lib/asn.ts";
import { durationSeconds } from "../../lib/duration.ts";
import { type IpAddr, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import type { Neighbor } from "./session.ts";

/** What a BGPPeer says of all neighbors that it makes. */
export type CommonFields = Omit<Neighbor, "type" | "address" | "port" | "asn" | "calicoNode">;

/** @throws {SyntaxError} that names the field that cannot be read. */
export function commonFields({ metadata, spec }: BGPPeer): CommonFields {
  const { maxRestartTime, keepaliveTime, numAllowedLocalASNumbers, nextHopMode } = spec;
  const { filters = [], ttlSecurity = 0, password } = spec;
  return {
    origin: `BGPPeer ${metadata.name}`,
    fromNodeAddress: spec.sourceAddress !== "None",
    keepOriginalNextHop: spec.keepOriginalNextHop === true,
    ...(isGivenAs(spec.localASNumber) ? { localAs: parseAsn(spec.localASNumber) } : {}),
    ...(maxRestartTime === undefined ? {} : { restartSeconds: durationSeconds(maxRestartTime) }),
    ...(keepaliveTime === undefined ? {} : { keepaliveSeconds: keepaliveSeconds(keepaliveTime) }),
    ...(nextHopMode === undefined ? {} : { nextHopMode }),
    ...(numAllowedLocalASNumbers === undefined ? {} : { allowedLocalAs: numAllowedLocalASNumbers }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(ttlSecurity === 0 ? {} : { ttlSecurityHops: ttlSecurity }),
    ...(password?.secretKeyRef === undefined ? {} : { password: password.secretKeyRef }),
    ...(isGiven(spec.reachableBy) ? { reachableBy: parseIpAddr(spec.reachableBy) } : {}),
    ...bgpAnnotationsOf(metadata.annotations),
  };
}

/** A part of a second is a second: 0 would ask for no keepalives at all. */
function keepaliveSeconds(text: string): number {
  return Math.max(durationSeconds(text), 1);
}

/** A peerIP: the zone is the interface of a link-local address. */
export interface Endpoint {
  readonly address: IpAddr;
  readonly zone?: string;
  readonly port?: number;
}

/**
 * "1.2.3.4", "1.2.3.4:1790", "fd00::1", "[fd00::1]:1790", "fe80::1%eth0" or "[fe80::1%eth0]:1790".
 *
 * @throws {SyntaxError}
 */
export function parseEndpoint(text: string): Endpoint {
  const [, bracketed, dotted, portText] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && !(port >= 1 && port <= 65535)) {
    throw new SyntaxError(`Cannot parse peerIP "${text}": the port must be 1 to 65535`);
  }
  const [addressText = "", zone] = (bracketed ?? dotted ?? text).split("%");
  const address = parseIpAddr(addressText);
  if (isLinkLocal(address) !== (zone !== undefined)) {
    throw new SyntaxError(
      `Cannot parse peerIP "${text}": a link-local address, and no other, has an interface, as in fe80::1%eth0`,
    );
  }
  return {
    address,
    ...(zone === undefined ? {} : { zone }),
    ...(port === undefined ? {} : { port }),
  };
}

/** fe80::/10. */
function isLinkLocal(address: IpAddr): boolean {
  return ipFamily(address) === 6 && /^fe[89ab]/.test(address);
}

export function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

/** 0 and "" are how some clients write no AS. */
export function isGivenAs(asn: BGPPeerSpec["asNumber"]): asn is number | string {
  return asn !== undefined && asn !== "" && Number(asn) !== 0;
}
