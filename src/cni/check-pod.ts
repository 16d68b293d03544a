import { hostVethMac } from "../api/names.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Kernel, KernelLink } from "../kernel/kernel.ts";
import { mainTable } from "../kernel/ownership.ts";
import { hostPrefix } from "../lib/prefix.ts";
import type { AddCall } from "./call.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import type { EndpointIdentity } from "./endpoint.ts";
import type { AgentPorts } from "./ports.ts";

/** Whom a check is about: the pod's namespace, and the endpoint that the datastore has of it. */
export interface Checked {
  readonly identity: EndpointIdentity;
  readonly netnsFd: number;
  readonly endpoint: WorkloadEndpoint | undefined;
}

/**
 * That interface, addresses, routes and endpoint are what ADD left, and what it answered (facts 6.9).
 *
 * @returns the pod's interface.
 * @throws {CniError} that names what is missing.
 */
export async function checkPod(
  call: AddCall,
  { identity, netnsFd, endpoint }: Checked,
  ports: Pick<AgentPorts, "openPodKernel" | "hostKernel">,
): Promise<KernelLink> {
  if (endpoint?.spec.containerID !== call.containerId) {
    throw wrong(`Cannot find the WorkloadEndpoint ${identity.wepName} of this container`);
  }
  const networks = endpoint.spec.ipNetworks ?? [];
  if (networks.length === 0) throw wrong(`The WorkloadEndpoint ${identity.wepName} has no address`);
  const pod = ports.openPodKernel(netnsFd);
  try {
    const link = await pod.links.get(call.ifName);
    if (link === undefined || !link.up) throw wrong(`Interface ${call.ifName} is missing or down`);
    const { mac } = endpoint.spec;
    if (mac !== undefined && link.mac !== mac) {
      throw wrong(`Interface ${call.ifName} has the MAC address ${link.mac}, not ${mac}`);
    }
    checkPrevious(call, { networks, link });
    const have = await pod.addresses.list({ ifindex: link.ifindex });
    for (const network of networks) {
      if (have.some(({ address }) => hostPrefix(address) === network)) continue;
      throw wrong(`Interface ${call.ifName} lacks the address ${network}`);
    }
    await checkHost(endpoint, link, ports.hostKernel);
    return link;
  } finally {
    pod.close();
  }
}

async function checkHost(
  { spec }: WorkloadEndpoint,
  podEnd: KernelLink,
  host: Kernel,
): Promise<void> {
  const link = await host.links.get(spec.interfaceName);
  if (link?.up !== true || link.linkIfindex !== podEnd.ifindex) {
    throw wrong(`The node's interface ${spec.interfaceName} is missing, down or another pod's`);
  }
  if (link.mac !== hostVethMac) {
    throw wrong(`The node's interface ${spec.interfaceName} has the MAC address ${link.mac}`);
  }
  const routes = await host.routes.list({ table: mainTable });
  for (const network of spec.ipNetworks ?? []) {
    const isThere = routes.some(
      ({ destination, ifindex }) => destination === network && ifindex === link.ifindex,
    );
    if (!isThere) throw wrong(`The node has no route to ${network} by ${spec.interfaceName}`);
  }
}

/** The chain's result must tell of our addresses and interface as they are. */
function checkPrevious(
  { previous, ifName }: AddCall,
  { networks, link }: { readonly networks: readonly string[]; readonly link: KernelLink },
): void {
  if (previous === undefined) return;
  for (const network of networks) {
    if (previous.ips.some(({ address }) => address === network)) continue;
    throw wrong(`prevResult lacks the address ${network} of interface ${ifName}`);
  }
  const told = previous.interfaces.find(({ name, sandbox }) => name === ifName && sandbox);
  if (told?.["mac"] === undefined || told["mac"] === link.mac) return;
  throw wrong(`Interface ${ifName} has the MAC address ${link.mac}, in prevResult ${told["mac"]}`);
}

function wrong(what: string): CniError {
  return new CniError(cniCodes.network, what);
}
