import { cidr, interfaceName, ipAddress, labels, macAddress, net, protocol } from "./fields.ts";
import { array, type Check, integer, matching, object, refuse, text } from "./schema.ts";

const endpointPort = object(
  {
    name: text(),
    protocol,
    port: integer(1, 65535),
    hostPort: integer(0, 65535),
    hostIP: text(),
  },
  { required: ["protocol", "port"] },
);

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
    ipNetworks: array(net),
    ipNATs: array(
      object(
        { internalIP: ipAddress, externalIP: ipAddress },
        { required: ["internalIP", "externalIP"] },
      ),
    ),
    ipv4Gateway: ipAddress,
    ipv6Gateway: ipAddress,
    profiles: array(text()),
    interfaceName,
    mac: macAddress,
    ports: array(endpointPort),
    allowSpoofedSourcePrefixes: array(cidr),
    labels,
  },
  { required: ["orchestrator", "node", "endpoint", "interfaceName"] },
);

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
