import { ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { hostPrefix, isHostPrefix, type Prefix } from "../../lib/prefix.ts";
import { dscpValue } from "../dscp.ts";
import type { WorkloadEndpointSpec } from "../resources/workload-endpoint.ts";
import {
  cidr,
  interfaceName,
  ipAddress,
  ipAddressOf,
  macAddress,
  net,
  portName,
  protocol,
} from "./fields.ts";
import {
  array,
  type Check,
  described,
  type Fields,
  integer,
  matching,
  mustBe,
  numberOr,
  object,
  type Report,
  refuse,
  text,
} from "./schema.ts";

const portFields: Fields = { name: portName, protocol, port: integer(1, 65535) };
const endpointPort = portOf(portFields);
const workloadPort = portOf({ ...portFields, hostPort: integer(0, 65535), hostIP: text() });

function portOf(fields: Fields): Check {
  return object(fields, {
    required: ["protocol", "port"],
    refine: ({ protocol: given }, path, report) => {
      if (["TCP", "UDP", "SCTP", 6, 17, 132].includes(given as string | number)) return;
      mustBe(report, `${path}.protocol`, "TCP, UDP or SCTP", given);
    },
  });
}

/** One address, as a prefix. */
const hostNet = described({ ...net.schema }, (value, path, report) => {
  const before = report.problems.length;
  const result = net(value, path, report);
  if (report.problems.length === before && !isHostPrefix(result as Prefix)) {
    mustBe(report, path, "one address", value);
  }
  return result;
});

/** Any amount: what there is depends on who writes it, and is checked where that is read (facts 2.6). */
const amount = integer(0, Number.MAX_SAFE_INTEGER);
const qosControls = object({
  ingressBandwidth: amount,
  egressBandwidth: amount,
  ingressBurst: amount,
  egressBurst: amount,
  ingressPeakrate: amount,
  egressPeakrate: amount,
  ingressMinburst: amount,
  egressMinburst: amount,
  ingressPacketRate: amount,
  egressPacketRate: amount,
  ingressPacketBurst: amount,
  egressPacketBurst: amount,
  ingressMaxConnections: amount,
  egressMaxConnections: amount,
  dscp: numberOr(
    integer(0, 63),
    text((value) => void dscpValue(value)),
  ),
});

/** WorkloadEndpoint.spec (facts 2.6). */
export const workloadEndpointSpec: Check = object(
  {
    orchestrator: text(),
    workload: text(),
    node: text(),
    containerID: text(),
    pod: text(),
    endpoint: text(),
    serviceAccountName: text(),
    ipNetworks: array(hostNet),
    ipNATs: array(
      object(
        { internalIP: ipAddress, externalIP: ipAddress },
        { required: ["internalIP", "externalIP"] },
      ),
    ),
    ipv4Gateway: ipAddressOf(4),
    ipv6Gateway: ipAddressOf(6),
    profiles: array(text()),
    interfaceName,
    mac: macAddress,
    ports: array(workloadPort),
    allowSpoofedSourcePrefixes: array(cidr),
    qosControls,
  },
  {
    required: ["orchestrator", "node", "endpoint", "interfaceName"],
    refine: (value, path, report) =>
      checkNats(value as unknown as WorkloadEndpointSpec, path, report),
  },
);

function checkNats(
  { ipNATs = [], ipNetworks = [] }: WorkloadEndpointSpec,
  path: string,
  report: Report,
): void {
  for (const [index, { internalIP, externalIP }] of ipNATs.entries()) {
    const at = `${path}.ipNATs[${index}]`;
    const internal = parseIpAddr(internalIP);
    if (ipFamily(internal) !== ipFamily(parseIpAddr(externalIP))) {
      mustBe(report, `${at}.externalIP`, "of the family of internalIP", externalIP);
    }
    if (ipNetworks.includes(hostPrefix(internal))) continue;
    mustBe(report, `${at}.internalIP`, "one of ipNetworks", internalIP);
  }
}

/** HostEndpoint.spec (facts 2.5). */
export const hostEndpointSpec: Check = object(
  {
    node: text(),
    interfaceName: matching(
      /^(\*|[a-zA-Z0-9_.-]{1,15})$/,
      'an interface name of at most 15 characters, or "*"',
    ),
    expectedIPs: array(ipAddress),
    profiles: array(text()),
    ports: array(endpointPort),
  },
  {
    required: ["node"],
    refine: ({ interfaceName: name, expectedIPs }, path, report) => {
      if (name !== undefined || ((expectedIPs as unknown[] | undefined) ?? []).length > 0) return;
      refuse(report, `${path}.expectedIPs`, "is required without interfaceName");
    },
  },
);
