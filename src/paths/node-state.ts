import { readFile } from "node:fs/promises";
import type { PathChecksConfig } from "../api/path-checks.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { NodeState, TunnelState } from "./path.ts";

/** The kernel's counters of this network namespace. */
const counterFiles = ["/proc/thread-self/net/snmp", "/proc/thread-self/net/snmp6"];

/** What this node says of itself to peers that ask. */
export async function nodeState(
  kernel: Pick<Kernel, "links">,
  devices: PathChecksConfig["tunnels"],
): Promise<NodeState> {
  const texts = await Promise.all(
    counterFiles.map((file) => readFile(file, "utf8").catch(() => "")),
  );
  const links = await Promise.all(devices.map(({ name }) => kernel.links.get(name)));
  const tunnels = links.flatMap((link, i): TunnelState[] => {
    if (link === undefined) return [];
    const { name, up, mtu, vxlan } = link;
    const port = devices[i]?.port;
    const plain = port === undefined ? {} : { port };
    const ports = vxlan === undefined ? plain : { vni: vxlan.vni, port: vxlan.port };
    return [{ name, up, mtu, ...ports }];
  });
  return { checksumErrors: checksumErrors(texts.join("\n")), tunnels };
}

/**
 * Packets dropped for their checksum. snmp has for each protocol a line of names and one of numbers,
 * snmp6 a name and a number a line.
 */
export function checksumErrors(text: string): NodeState["checksumErrors"] {
  const lines = text.split("\n").map((line) => line.split(/\s+/));
  const of = (protocol: string) => {
    const [names = [], numbers = []] = lines.filter(([first]) => first === `${protocol}:`);
    return Number(numbers[names.indexOf("InCsumErrors")] ?? 0);
  };
  const udp6 = lines.find(([first]) => first === "Udp6InCsumErrors")?.[1] ?? 0;
  return { udp: of("Udp") + Number(udp6), tcp: of("Tcp") };
}
