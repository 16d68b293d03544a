import { durationSeconds } from "../../lib/duration.ts";
import { parseIpAddr } from "../../lib/ip-addr.ts";
import type { BGPConfigurationSpec, BGPPeerSpec } from "../resources/bgp.ts";
import {
  asNumber,
  cidr,
  duration,
  ipAddress,
  logSeverity,
  secretKeyRef,
  selector,
} from "./fields.ts";
import {
  array,
  boolean,
  type Check,
  integer,
  matching,
  mustBe,
  object,
  oneOf,
  type Report,
  refuse,
  shown,
  text,
} from "./schema.ts";

const maxAdvertisements = 500;
const maxCommunities = 50;
const routePriority = integer(1, 2147483646);

/** "65001:100" or, as a large community, "65001:1:100". */
const communityValue = text((value) => {
  if (!isCommunity(value)) {
    throw new SyntaxError(`must be aa:nn or aa:nn:mm, got ${shown(value)}`);
  }
});

function isCommunity(value: string): boolean {
  const parts = value.split(":");
  const max = parts.length === 2 ? 0xffff : 0xffffffff;
  const valid = parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= max);
  return (parts.length === 2 || parts.length === 3) && valid;
}

const cidrs = array(object({ cidr }, { required: ["cidr"] }));

/** BGPConfiguration.spec (facts 5.2). */
export const bgpConfigurationSpec: Check = object(
  {
    logSeverityScreen: logSeverity,
    nodeToNodeMeshEnabled: boolean,
    asNumber,
    serviceClusterIPs: cidrs,
    serviceExternalIPs: cidrs,
    serviceLoadBalancerIPs: cidrs,
    serviceLoadBalancerAggregation: oneOf("Enabled", "Disabled"),
    communities: array(object({ name: text(), value: communityValue }, { required: ["value"] })),
    prefixAdvertisements: array(
      object({ cidr, communities: array(text(), maxCommunities) }),
      maxAdvertisements,
    ),
    listenPort: integer(1, 65535),
    nodeMeshPassword: secretKeyRef,
    nodeMeshMaxRestartTime: duration,
    bindMode: oneOf("None", "NodeIP"),
    ignoredInterfaces: array(
      matching(/^[a-zA-Z0-9_.*-]{1,15}$/, "an interface name, in which * may stand for anything"),
    ),
    localWorkloadPeeringIPV4: ipAddress,
    localWorkloadPeeringIPV6: ipAddress,
    programClusterRoutes: oneOf("Disabled", "Enabled", "EnabledNoEncapOnly", "EnabledIPIPOnly"),
    ipv4NormalRoutePriority: routePriority,
    ipv6NormalRoutePriority: routePriority,
  },
  {
    refine: (value, path, report) => {
      checkCommunities(value as BGPConfigurationSpec, path, report);
      if (value["nodeMeshPassword"] !== undefined && value["nodeToNodeMeshEnabled"] === false) {
        refuse(report, `${path}.nodeMeshPassword`, "may not be given when the mesh is disabled");
      }
    },
  },
);

/** Names of communities are for prefixAdvertisements, and only those named here are known there. */
function checkCommunities(spec: BGPConfigurationSpec, path: string, report: Report): void {
  const { communities = [], prefixAdvertisements = [] } = spec;
  if (communities.length > 0 && prefixAdvertisements.length === 0) {
    refuse(report, `${path}.communities`, "may only be given with prefixAdvertisements");
  }
  for (const [index, advertisement] of prefixAdvertisements.entries()) {
    for (const [at, given] of (advertisement.communities ?? []).entries()) {
      if (isCommunity(given) || communities.some(({ name }) => name === given)) continue;
      const field = `${path}.prefixAdvertisements[${index}].communities[${at}]`;
      mustBe(report, field, "a community, or the name of one in communities", given);
    }
  }
}

/**
 * "1.2.3.4", "1.2.3.4:179", "fd00::1" or "[fd00::1]:179"; of IPv6 also "fe80::1%eth0", which upstream
 * does not know.
 */
const peerIP = text((value) => {
  const [, bracketed, dotted, port] = /^(?:\[([^\]]+)\]:|([0-9.]+):)(\d{1,5})$/.exec(value) ?? [];
  const [address = "", zone] = (bracketed ?? dotted ?? value).split(/%(.*)/s);
  parseIpAddr(address);
  if (zone !== undefined && !(address.includes(":") && /^[a-zA-Z0-9_.-]{1,15}$/.test(zone))) {
    throw new SyntaxError(`must name an interface after %, got ${shown(value)}`);
  }
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) {
    throw new SyntaxError(`must have a port from 1 to 65535, got ${shown(value)}`);
  }
});

/** BGPPeer.spec (facts 5.3). */
export const bgpPeerSpec: Check = object(
  {
    node: text(),
    nodeSelector: selector(),
    peerIP,
    asNumber,
    localASNumber: asNumber,
    peerSelector: selector(),
    keepOriginalNextHop: boolean,
    nextHopMode: oneOf("Auto", "Self", "Keep"),
    password: secretKeyRef,
    sourceAddress: oneOf("UseNodeIP", "None"),
    maxRestartTime: duration,
    keepaliveTime: duration,
    numAllowedLocalASNumbers: integer(0, 255),
    ttlSecurity: integer(1, 255),
    reachableBy: ipAddress,
    filters: array(text()),
    localWorkloadSelector: selector(),
    reversePeering: oneOf("Auto", "Manual"),
  },
  { refine: (value, path, report) => checkPeer(value as BGPPeerSpec, path, report) },
);

function checkPeer(spec: BGPPeerSpec, path: string, report: Report): void {
  const given = (field: keyof BGPPeerSpec) => spec[field] !== undefined && spec[field] !== "";
  const exclusive: readonly (readonly [keyof BGPPeerSpec, keyof BGPPeerSpec])[] = [
    ["node", "nodeSelector"],
    ["peerIP", "peerSelector"],
    ["asNumber", "peerSelector"],
    ["keepOriginalNextHop", "nextHopMode"],
    ["localWorkloadSelector", "peerIP"],
    ["localWorkloadSelector", "peerSelector"],
    ["reachableBy", "peerSelector"],
  ];
  for (const [field, other] of exclusive) {
    if (given(field) && given(other)) {
      refuse(report, `${path}.${field}`, `and ${other} exclude each other`);
    }
  }
  if (!given("peerIP") && !given("peerSelector") && !given("localWorkloadSelector")) {
    refuse(report, path, "must have peerIP, peerSelector or localWorkloadSelector");
  }
  if (given("localWorkloadSelector") && !given("asNumber")) {
    refuse(report, `${path}.asNumber`, "is required with localWorkloadSelector");
  }
  // BGP counts keepalives in seconds (RFC 4271 section 4.2).
  if (spec.keepaliveTime !== undefined && durationSeconds(spec.keepaliveTime) < 1) {
    mustBe(report, `${path}.keepaliveTime`, '"1s" or more', spec.keepaliveTime);
  }
  if (given("reachableBy") && !given("peerIP")) {
    refuse(report, `${path}.reachableBy`, "may only be given with peerIP");
  }
  if (!given("reachableBy") || !given("peerIP")) return;
  if (spec.reachableBy?.includes(":") !== /^\[|:.*:/.test(spec.peerIP ?? "")) {
    refuse(
      report,
      `${path}.reachableBy`,
      `must be of the family of peerIP, got ${shown(spec.reachableBy)}`,
    );
  }
}
