import { hostVethLinkLocal, hostVethMac, podGateway } from "../api/names.ts";
import type { Kernel, KernelRoute } from "../kernel/kernel.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import type { MacAddr } from "../lib/mac.ts";
import { hostPrefix, type Prefix, parsePrefix, prefixFamily } from "../lib/prefix.ts";
import { CniError, cniCodes } from "./cni-error.ts";

const mainTable = 254;
const bootProtocol = 3;

/** What a pod's interface is to be (facts 6.2 and 6.8). */
export interface PodInterface {
  readonly hostName: string;
  readonly podName: string;
  /** Descriptor of the pod's network namespace. */
  readonly netnsFd: number;
  /** 0: the kernel's default. */
  readonly mtu: number;
  /** In each direction. */
  readonly queues: number;
  readonly addresses: readonly IpAddr[];
  /** What leads out of the pod; undefined: everything. */
  readonly routes?: readonly Prefix[];
  readonly mac: MacAddr;
  readonly allowIpForwarding: boolean;
}

/** The doors to the kernel that a pod's interface is made through. */
export interface PodNetworkPorts {
  readonly hostKernel: Kernel;
  openPodKernel(netnsFd: number): Kernel;
  /** Writes a sysctl in our own namespace. */
  writeHostSysctl(path: readonly string[], value: string): void;
  /** Writes a sysctl in the pod's namespace. */
  writePodSysctl(netnsFd: number, path: readonly string[], value: string): void;
}

/**
 * Creates the veth pair, the pod's end inside its namespace, and configures that end. Of the host's
 * end only the pod's IPv6 gateway is made here. The rest is left to felix: its route, neighbor, sysctls
 * and chains belong together.
 *
 * Each question to rtnetlink waits for everybody who changes interfaces on the machine, and for a thread:
 * there are two, the pair and all of the pod's end.
 *
 * @throws {CniError} when the namespace has an interface of that name, or the kernel refuses.
 */
export async function addPodInterface(wanted: PodInterface, ports: PodNetworkPorts): Promise<void> {
  const pod = ports.openPodKernel(wanted.netnsFd);
  try {
    if (pod.indexOf(wanted.podName) !== undefined) {
      throw new CniError(
        cniCodes.network,
        `Cannot add interface ${wanted.podName}: the pod's namespace has one of this name`,
      );
    }
    await removeHostInterface(wanted.hostName, ports.hostKernel);
    const mtu = wanted.mtu === 0 ? {} : { mtu: wanted.mtu };
    await ports.hostKernel.links.addVeth({
      name: wanted.hostName,
      mac: hostVethMac,
      queues: wanted.queues,
      ...mtu,
      peer: {
        name: wanted.podName,
        netnsFd: wanted.netnsFd,
        ...mtu,
        mac: wanted.mac,
      },
    });
    if (wanted.addresses.some((address) => ipFamily(address) === 6)) {
      await addIpv6Gateway(wanted.hostName, ports);
    }
    await configurePodEnd(wanted, pod, ports);
  } finally {
    pod.close();
  }
}

/**
 * The address that the pod's default route leads to (facts 6.8 step 11). The kernel would make it from
 * the MAC by itself, but not on hosts where `addr_gen_mode` says otherwise, and then be silent about it
 * for 1 to 2 s, until duplicate address detection ends: that is off for when the link comes up again.
 */
async function addIpv6Gateway(hostName: string, ports: PodNetworkPorts): Promise<void> {
  const ifindex = indexAfterAdding(hostName, ports.hostKernel);
  for (const name of ["disable_ipv6", "accept_dad"]) {
    ports.writeHostSysctl(["net", "ipv6", "conf", hostName, name], "0");
  }
  const gateway = { ifindex, address: hostVethLinkLocal, length: 64, noDad: true };
  await ports.hostKernel.addresses.add(gateway);
}

async function configurePodEnd(
  wanted: PodInterface,
  pod: Kernel,
  ports: PodNetworkPorts,
): Promise<void> {
  const ifindex = indexAfterAdding(wanted.podName, pod);
  const families = new Set(wanted.addresses.map(ipFamily));
  writeSysctls(wanted, families.has(6), ports);
  const loopback = pod.indexOf("lo");
  await pod.configure({
    up: [...(loopback === undefined ? [] : [loopback]), ifindex],
    routes: podRoutes(ifindex, families, wanted.routes),
    addresses: wanted.addresses.map((address) => {
      const length = ipFamily(address) === 4 ? 32 : 128;
      return { ifindex, address, length, noDad: true };
    }),
  });
}

function indexAfterAdding(name: string, kernel: Kernel): number {
  const ifindex = kernel.indexOf(name);
  if (ifindex !== undefined) return ifindex;
  throw new CniError(cniCodes.network, `Cannot find interface ${name} after adding it`);
}

function writeSysctls(wanted: PodInterface, ipv6: boolean, ports: PodNetworkPorts): void {
  const write = (path: readonly string[], value: string) =>
    ports.writePodSysctl(wanted.netnsFd, ["net", ...path], value);
  const forwarding = wanted.allowIpForwarding ? "1" : "0";
  write(["ipv4", "ip_forward"], forwarding);
  if (!ipv6) return;
  for (const name of ["all", "default", "lo"]) write(["ipv6", "conf", name, "disable_ipv6"], "0");
  write(["ipv6", "conf", wanted.podName, "accept_dad"], "0");
  write(["ipv6", "conf", "all", "forwarding"], forwarding);
}

/** The link-local gateway, on the link by itself, and what leads through it (facts 6.8 11 and 12). */
function podRoutes(
  ifindex: number,
  families: ReadonlySet<IpFamily>,
  wanted: readonly Prefix[] = [parsePrefix("0.0.0.0/0"), parsePrefix("::/0")],
): KernelRoute[] {
  const common = { table: mainTable, kind: "unicast", protocol: bootProtocol, ifindex } as const;
  const gateway: KernelRoute = {
    ...common,
    destination: hostPrefix(podGateway),
    priority: 0,
    scope: "link",
  };
  const through = wanted.filter((destination) => families.has(prefixFamily(destination)));
  return [
    ...(families.has(4) ? [gateway] : []),
    ...through.map((destination): KernelRoute => {
      const isIpv4 = prefixFamily(destination) === 4;
      return {
        ...common,
        destination,
        priority: isIpv4 ? 0 : 1024,
        scope: "universe",
        gateway: isIpv4 ? podGateway : hostVethLinkLocal,
      };
    }),
  ];
}

/**
 * Removes the pod's end, and with it the host's, if the host's has this name. Another interface of the
 * name, or none, is let be: a path that a runtime names may be another container's by now.
 */
export async function removePodInterface(
  attached: { readonly podName: string; readonly hostName: string; readonly netnsFd: number },
  ports: Pick<PodNetworkPorts, "openPodKernel" | "hostKernel">,
): Promise<void> {
  const pod = ports.openPodKernel(attached.netnsFd);
  try {
    const [inPod, onHost] = await Promise.all([
      pod.links.get(attached.podName),
      ports.hostKernel.links.get(attached.hostName),
    ]);
    if (inPod === undefined || onHost === undefined) return;
    if (inPod.linkIfindex !== onHost.ifindex || onHost.linkIfindex !== inPod.ifindex) return;
    await pod.links.remove(inPod.ifindex);
  } finally {
    pod.close();
  }
}

export async function removeHostInterface(name: string, host: Kernel): Promise<void> {
  const ifindex = host.indexOf(name);
  if (ifindex !== undefined) await host.links.remove(ifindex);
}
