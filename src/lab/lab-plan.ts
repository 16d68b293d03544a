import { InputError } from "../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../lib/ip-addr.ts";

/** What `lab up` was asked for. Two equal requests ask for the same lab. */
export interface LabRequest {
  readonly name: string;
  readonly nodes: number;
  readonly segments: number;
  readonly pods: number;
  readonly encapsulation: Encapsulation;
  readonly datastore: LabDatastore;
  readonly fabric: Fabric;
}

export const encapsulations = [
  "None",
  "VXLAN",
  "VXLANCrossSubnet",
  "IPIP",
  "IPIPCrossSubnet",
] as const;
export type Encapsulation = (typeof encapsulations)[number];
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
  datastore: "embedded",
  fabric: "static",
};

/** The lab as namespaces, links and addresses. Follows from the request alone. */
export interface LabPlan {
  readonly router: string;
  readonly segments: readonly LabSegment[];
  readonly nodes: readonly LabNode[];
  /** An address behind the router that is no node and no pod: "the internet". */
  readonly outsideAddress: IpAddr;
  readonly podCidr: string;
}

export interface LabSegment {
  readonly number: number;
  /** In the router's namespace. */
  readonly bridge: string;
  readonly routerAddress: IpAddr;
}

export interface LabNode {
  readonly name: string;
  readonly netns: string;
  readonly segment: number;
  readonly address: IpAddr;
  /** The other end of the node's eth0, in the router's namespace. */
  readonly routerLink: string;
}

export const segmentPrefixLength = 24;

/**
 * Plans a lab.
 *
 * @throws {InputError} that names the option and its value.
 */
export function planLab(request: LabRequest): LabPlan {
  checkRequest(request);
  const perSegment = Math.ceil(request.nodes / request.segments);
  const nodes = Array.from({ length: request.nodes }, (_, index): LabNode => {
    const segment = Math.floor(index / perSegment) + 1;
    const name = `node${index + 1}`;
    return {
      name,
      netns: `${request.name}-${name}`,
      segment,
      address: parseIpAddr(`192.168.${segment}.${11 + index}`),
      routerLink: `port${index + 1}`,
    };
  });
  const segments = Array.from(
    { length: request.segments },
    (_, index): LabSegment => ({
      number: index + 1,
      bridge: `segment${index + 1}`,
      routerAddress: parseIpAddr(`192.168.${index + 1}.1`),
    }),
  );
  return {
    router: `${request.name}-router`,
    segments,
    nodes,
    outsideAddress: parseIpAddr("203.0.113.10"),
    podCidr: "10.244.0.0/16",
  };
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
  if (request.encapsulation === "None" && request.segments > 1 && request.fabric !== "bgp") {
    throw new InputError(
      "Cannot accept --encapsulation None with more than one segment: the router knows no pod " +
        "route, so packets between segments would be lost. Use --segments 1, or --fabric bgp, " +
        "which makes the router a BGP peer of every node",
    );
  }
}

function checkRange(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InputError(`Cannot accept ${option} ${value}: it must be ${least} to ${most}`);
}

/** Name of a pod's network namespace. */
export function podNetns(lab: string, node: string, namespace: string, pod: string): string {
  return namespace === "default" ? `${lab}-${node}-${pod}` : `${lab}-${node}-${namespace}-${pod}`;
}
