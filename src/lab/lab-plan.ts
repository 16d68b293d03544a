import { InputError } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, parseIpAddr } from "../lib/ip-addr.ts";
import { type Prefix, parsePrefix } from "../lib/prefix.ts";

/** What `lab up` was asked for. Two equal requests ask for the same lab. */
export interface LabRequest {
  readonly name: string;
  readonly nodes: number;
  readonly segments: number;
  readonly pods: number;
  readonly encapsulation: Encapsulation;
  /** What goes from node to node is encrypted. */
  readonly wireguard: boolean;
  readonly ipFamily: LabIpFamily;
  readonly datastore: LabDatastore;
  readonly fabric: Fabric;
}

export const encapsulations = [
  "None",
  "VXLAN",
  "VXLANCrossSubnet",
  "IPIP",
  "IPIPCrossSubnet",
  "UDP",
  "UDPCrossSubnet",
] as const;
export type Encapsulation = (typeof encapsulations)[number];

/** Those that Calico has, too. */
export const calicoEncapsulations: readonly Encapsulation[] = encapsulations.filter(
  (mode) => !mode.startsWith("UDP"),
);
/** Families of nodes and pods: "dual" has both everywhere. */
export const labIpFamilies = ["ipv4", "ipv6", "dual"] as const;
export type LabIpFamily = (typeof labIpFamilies)[number];
export const labDatastores = ["embedded", "etcdv3"] as const;
export type LabDatastore = (typeof labDatastores)[number];
/** "static": the router knows no pod route. "bgp": it learns them, as a top-of-rack router. */
export const fabrics = ["static", "bgp"] as const;
export type Fabric = (typeof fabrics)[number];

export const defaultRequest: LabRequest = {
  name: "tortie",
  nodes: 3,
  segments: 2,
  pods: 2,
  encapsulation: "VXLANCrossSubnet",
  wireguard: false,
  ipFamily: "ipv4",
  datastore: "embedded",
  fabric: "static",
};

/**
 * The lab as namespaces, links and addresses. Follows from the request alone. Of what has addresses in
 * more than one family, they are in the order of `families`.
 */
export interface LabPlan {
  readonly families: readonly IpFamily[];
  readonly router: string;
  readonly segments: readonly LabSegment[];
  readonly nodes: readonly LabNode[];
  /** Addresses behind the router that are no node and no pod: "the internet". */
  readonly outsideAddresses: readonly IpAddr[];
  readonly podCidrs: readonly Prefix[];
}

export interface LabSegment {
  readonly number: number;
  /** In the router's namespace. */
  readonly bridge: string;
  readonly routerAddresses: readonly IpAddr[];
}

export interface LabNode {
  readonly name: string;
  readonly netns: string;
  readonly segment: number;
  readonly addresses: readonly IpAddr[];
  /** The other end of the node's eth0, in the router's namespace. */
  readonly routerLink: string;
}

/** Of a segment. */
export const segmentPrefixLength: Readonly<Record<IpFamily, number>> = { 4: 24, 6: 64 };

const addressPlan = {
  4: {
    inSegment: (segment: number, host: number) => `192.168.${segment}.${host}`,
    outside: "203.0.113.10",
    pods: "10.244.0.0/16",
  },
  6: {
    // The same digits as in IPv4.
    inSegment: (segment: number, host: number) => `2001:db8:${segment}::${host}`,
    outside: "2001:db8:cafe::10",
    pods: "fd00:10:244::/64",
  },
} as const;

/**
 * Plans a lab.
 *
 * @throws {InputError} that names the option and its value.
 */
export function planLab(request: LabRequest): LabPlan {
  checkRequest(request);
  const families = familiesOf(request.ipFamily);
  const addresses = (segment: number, host: number) =>
    families.map((family) => parseIpAddr(addressPlan[family].inSegment(segment, host)));
  const perSegment = Math.ceil(request.nodes / request.segments);
  const nodes = Array.from({ length: request.nodes }, (_, index): LabNode => {
    const segment = Math.floor(index / perSegment) + 1;
    const name = `node${index + 1}`;
    return {
      name,
      netns: `${request.name}-${name}`,
      segment,
      addresses: addresses(segment, 11 + index),
      routerLink: `port${index + 1}`,
    };
  });
  const segments = Array.from(
    { length: request.segments },
    (_, index): LabSegment => ({
      number: index + 1,
      bridge: `segment${index + 1}`,
      routerAddresses: addresses(index + 1, 1),
    }),
  );
  return {
    families,
    router: `${request.name}-router`,
    segments,
    nodes,
    outsideAddresses: families.map((family) => parseIpAddr(addressPlan[family].outside)),
    podCidrs: families.map((family) => parsePrefix(addressPlan[family].pods)),
  };
}

export function familiesOf(ipFamily: LabIpFamily): readonly IpFamily[] {
  if (ipFamily === "dual") return [4, 6];
  return ipFamily === "ipv4" ? [4] : [6];
}

function checkRequest(request: LabRequest): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(request.name)) {
    throw new InputError(
      `Cannot accept --lab "${request.name}": letters a-z, digits and "-", at most 32 of them`,
    );
  }
  checkRange("--nodes", request.nodes, 1, 100);
  checkRange("--segments", request.segments, 1, Math.min(request.nodes, 100));
  checkRange("--pods", request.pods, 0, 60);
  const { encapsulation, ipFamily } = request;
  const tunnels = request.wireguard ? familiesOf(ipFamily) : tunneledFamilies(encapsulation);
  if (ipFamily === "ipv6" && encapsulation.startsWith("IPIP")) {
    throw new InputError(
      `Cannot accept --encapsulation ${encapsulation} with --ip-family ipv6: it carries IPv4 only`,
    );
  }
  const plain = familiesOf(ipFamily).find((family) => !tunnels.includes(family));
  if (plain !== undefined && request.segments > 1 && request.fabric !== "bgp") {
    throw new InputError(
      `Cannot accept --encapsulation ${encapsulation} for IPv${plain} with more than one segment: ` +
        "the router knows no pod route, so packets between segments would be lost. Use --segments 1, " +
        "--wireguard, or --fabric bgp, which makes the router a BGP peer of every node",
    );
  }
}

/** Families whose packets between segments take a tunnel: IPv6 has no IPIP (facts 2.3). */
function tunneledFamilies(encapsulation: Encapsulation): readonly IpFamily[] {
  if (encapsulation === "None") return [];
  return encapsulation.startsWith("IPIP") ? [4] : [4, 6];
}

function checkRange(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InputError(`Cannot accept ${option} ${value}: it must be ${least} to ${most}`);
}

/** Name of a pod's network namespace. */
export function podNetns(lab: string, node: string, namespace: string, pod: string): string {
  return namespace === "default" ? `${lab}-${node}-${pod}` : `${lab}-${node}-${namespace}-${pod}`;
}
