import { hostVethMac } from "../api/names.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { errorMessage } from "../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { localMac, type MacAddr } from "../lib/mac.ts";
import { parsePrefix, prefixAddress } from "../lib/prefix.ts";
import type { AddCall } from "./call.ts";
import { checkPod } from "./check-pod.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import { type EndpointIdentity, endpointKey, endpointOf, handleOf } from "./endpoint.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { withAnnotations } from "./network-config.ts";
import {
  addPodInterface,
  type PodInterface,
  removeHostInterface,
  removePodInterface,
} from "./pod-network.ts";
import type { AgentConfig, AgentPorts } from "./ports.ts";
import { renderAddresses, renderResult } from "./result.ts";

/** What an ADD is carried out with. */
export interface AddContext {
  readonly config: AgentConfig;
  readonly ports: AgentPorts;
  readonly store: EndpointStore;
}

interface Target {
  readonly identity: EndpointIdentity;
  readonly netnsFd: number;
}

/** A pod's network as it will be. */
interface Network {
  readonly addresses: readonly IpAddr[];
  readonly mac: MacAddr;
  readonly mtu: number;
  /** Nobody has told of the pod's interface before: policy may be written while it is made. */
  readonly isNew: boolean;
  /** What a datastore that keeps pods told of it. */
  readonly stored?: WorkloadEndpoint;
}

/** ADD of calico-ipam: addresses alone. */
export async function addAddresses(
  call: AddCall,
  identity: EndpointIdentity,
  { ports, store }: AddContext,
): Promise<object> {
  await store.requireReady();
  const addresses = await ports.addresses.assign(call, identity);
  return renderAddresses(call.config.cniVersion, addresses);
}

/**
 * ADD (facts 6.2, 6.8): answers only when the pod's policy is in the kernel, unless its configuration says
 * otherwise. An ADD that fails leaves nothing behind. Again for the same container it answers the same.
 */
export async function addPod(
  written: AddCall,
  target: Target,
  context: AddContext,
): Promise<object> {
  const { ports, store, config } = context;
  const { identity } = target;
  const [existing] = await Promise.all([store.get(identity), store.requireReady()]);
  const call = config.podsAreStored ? asStored(written, identity, existing) : written;
  for (const reason of call.config.qosProblems) {
    ports.log.warn({ pod: call.pod, reason }, "An annotation is not taken as it is written");
  }
  const mtu = mtuOf(call, config);
  if (existing?.spec.containerID === call.containerId) {
    const again = await answerAgain(call, { ...target, endpoint: existing }, ports);
    if (again !== undefined) return again;
  }
  await releaseEarlier(call, existing, ports);
  if (identity.orchestrator === "cni" && !call.config.hasPolicyType) {
    await store.requireProfile(call.config.name);
  }
  // Routes must not lead to an interface of earlier times.
  const isNew =
    existing?.spec.containerID === undefined &&
    ports.hostKernel.indexOf(identity.hostInterface) === undefined;
  const addresses = await ports.addresses.assign(call, identity);
  const mac = (call.config.annotations.hwAddr as MacAddr | undefined) ?? localMac(ports.random(6));
  const stored = config.podsAreStored && existing !== undefined ? { stored: existing } : {};
  try {
    await connect(call, target, { addresses, mac, mtu, isNew, ...stored }, context);
    return resultOf(call, identity, { addresses, mac, mtu });
  } catch (error) {
    // Of what was never stored nobody else will tell felix that it is no more.
    if (isNew) ports.felix.withdrawEndpoint(endpointKey(identity));
    await undo(call, identity, context).catch((cause: unknown) => {
      throw new CniError(
        cniCodes.internal,
        `${errorMessage(error)}; and cannot clean up after it`,
        errorMessage(cause),
      );
    });
    throw error;
  }
}

/** Labels, ports and annotations of a pod in Kubernetes are those that Kubernetes tells. */
function asStored(
  call: AddCall,
  identity: EndpointIdentity,
  stored: WorkloadEndpoint | undefined,
): AddCall {
  if (stored === undefined) {
    throw new CniError(
      cniCodes.tryAgain,
      `Cannot find the pod ${identity.namespace}/${identity.workload} on node ${identity.node}`,
      "Kubernetes does not have it",
    );
  }
  return { ...call, config: withAnnotations(call.config, stored.metadata.annotations ?? {}) };
}

function mtuOf({ config }: AddCall, agent: AgentConfig): number {
  const mtu = config.mtu === 0 ? agent.defaultMtu() : config.mtu;
  if (mtu > 0 || !config.requireMtuFile) return mtu;
  throw new CniError(
    cniCodes.tryAgain,
    "Cannot tell the MTU of pods: the node has not written its file yet",
    "require_mtu_file is true",
  );
}

/** The answer of an earlier ADD of this container whose work is still all there. */
async function answerAgain(
  call: AddCall,
  pod: Target & { readonly endpoint: WorkloadEndpoint },
  ports: AgentPorts,
): Promise<object | undefined> {
  const { previous: _, ...alone } = call;
  const link = await checkPod(alone, pod, ports).catch((error: unknown) => {
    if (error instanceof CniError) return undefined;
    throw error;
  });
  if (link === undefined) {
    const { hostInterface: hostName } = pod.identity;
    await removePodInterface({ podName: call.ifName, hostName, netnsFd: pod.netnsFd }, ports);
    return undefined;
  }
  const networks = pod.endpoint.spec.ipNetworks ?? [];
  const addresses = networks.map((network) => parseIpAddr(prefixAddress(parsePrefix(network))));
  return resultOf(call, pod.identity, { addresses, mac: link.mac ?? "", mtu: link.mtu });
}

/** A pod that was made anew asks for the address that its earlier sandbox has. */
async function releaseEarlier(
  call: AddCall,
  existing: WorkloadEndpoint | undefined,
  { addresses }: AgentPorts,
): Promise<void> {
  const earlier = existing?.spec.containerID;
  if (earlier === undefined) return;
  if (earlier !== call.containerId && call.config.annotations.addresses === undefined) return;
  await addresses.release(handleOf(call.config.name, earlier));
}

/**
 * Makes the interface, stores the endpoint and waits until it is in the kernel. Policy of a new pod
 * is written while its interface is made.
 */
async function connect(
  call: AddCall,
  { identity, netnsFd }: Target,
  network: Network,
  { ports, store, config }: AddContext,
): Promise<void> {
  const { felix } = ports;
  const { addresses, mac, mtu, isNew } = network;
  const { routes, queues, allowIpForwarding } = call.config;
  const endpoint = endpointOf(call, identity, network, network.stored);
  // Who does not wait for policy is not to wait for felix, either, which would write it at the same time.
  const offersEarly = isNew && call.config.policySetupTimeoutMs !== 0;
  if (offersEarly) felix.offerEndpoint(endpoint);
  const wanted: PodInterface = {
    hostName: identity.hostInterface,
    podName: call.ifName,
    netnsFd,
    mtu,
    queues,
    addresses,
    ...(routes === undefined ? {} : { routes }),
    allowIpForwarding,
    mac,
  };
  await addPodInterface(wanted, ports);
  const written = await store.write(identity, endpoint);
  if (!offersEarly) felix.offerEndpoint(written);
  await programmed(call, identity, { ports, config });
}

/** Until routes and policy are in the kernel; as long as the configuration wants to wait. */
async function programmed(
  call: AddCall,
  identity: EndpointIdentity,
  { ports, config }: Pick<AddContext, "ports" | "config">,
): Promise<void> {
  const { felix, clock, log } = ports;
  const { policySetupTimeoutMs } = call.config;
  if (policySetupTimeoutMs === 0) return;
  const patience = new AbortController();
  const waitMs = policySetupTimeoutMs ?? config.programTimeoutMs;
  const cancel = clock.setTimer(waitMs, () => patience.abort(tooSlow()));
  try {
    await felix.endpointProgrammed(endpointKey(identity), patience.signal);
  } catch (error) {
    if (policySetupTimeoutMs === undefined || !patience.signal.aborted) throw error;
    log.warn({ pod: call.pod, waitMs }, "A pod starts before its policy is in the kernel");
  } finally {
    cancel();
  }
}

function resultOf(
  call: AddCall,
  identity: EndpointIdentity,
  network: {
    readonly addresses: readonly IpAddr[];
    readonly mac: string;
    readonly mtu: number;
  },
): object {
  const { addresses, mac, mtu } = network;
  return renderResult(
    {
      cniVersion: call.config.cniVersion,
      addresses,
      hostInterface: { name: identity.hostInterface, mac: hostVethMac },
      podInterface: { name: call.ifName, mac, netnsPath: call.netnsPath, mtu },
    },
    call.previous,
  );
}

async function undo(
  call: AddCall,
  identity: EndpointIdentity,
  { ports, store }: AddContext,
): Promise<void> {
  await removeHostInterface(identity.hostInterface, ports.hostKernel);
  await store.forget(identity, call.containerId);
  await ports.addresses.release(identity.handle);
  await ports.addresses.leave(call, identity);
}

function tooSlow(): CniError {
  return new CniError(
    cniCodes.tryAgain,
    "Cannot finish ADD: the pod's routes and policy are not in the kernel yet",
    "see the log of `tortie felix`",
  );
}
