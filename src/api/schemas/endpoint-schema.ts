import { cidr, interfaceName, ipAddress, labels, macAddress, net, protocol } from "./fields.ts";
import { array, type Check, integer, object, text } from "./schema.ts";

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
