import { readFileSync } from "node:fs";
import { FelixNode, inside } from "../../integration/felix-node.ts";
import { clusterOfFacts } from "./cluster.ts";

/** What the environment of node1's calico-node says. */
const environment = {
  NODENAME: "node1",
  FELIX_DEFAULTENDPOINTTOHOSTACTION: "ACCEPT",
  FELIX_IPV6SUPPORT: "false",
};

/** Hashes of another felix: an older one numbered its rules otherwise. */
const rules = readFileSync(new URL("iptables-save.txt", import.meta.url), "utf8");

const sets = `create cali40s:g_TM4cHGncRYRKupcms5_3m hash:net family inet maxelem 1048576
add cali40s:g_TM4cHGncRYRKupcms5_3m 10.244.20.7
create cali40masq-ipam-pools hash:net family inet maxelem 1048576
add cali40masq-ipam-pools 10.244.0.0/16
add cali40masq-ipam-pools 10.9.0.0/16
create cali40network-ip-pools hash:net family inet maxelem 1048576
add cali40network-ip-pools 10.9.0.0/16
add cali40network-ip-pools 10.244.0.0/16
create cali40all-vxlan-net hash:net family inet maxelem 1048576
add cali40all-vxlan-net 192.168.1.11
add cali40all-vxlan-net 192.168.2.13
add cali40all-vxlan-net 192.168.1.12
create cali40this-host hash:ip family inet maxelem 1048576
add cali40this-host 127.0.0.1
add cali40this-host 10.244.10.0
add cali40this-host 192.168.1.11
create cali40dscp-src-net hash:net family inet maxelem 1048576
`;

const commands = `link add vxlan.calico address 66:f9:37:c3:7e:94 mtu 1450 type vxlan id 4096 local 192.168.1.11 dev eth0 dstport 4789 nolearning
link set vxlan.calico up
address add 10.244.10.0/32 dev vxlan.calico
route add 10.244.10.5 dev cali0d7763386da scope link proto boot metric 1024
route add blackhole 10.244.10.0/26 proto 80
route add 10.244.20.0/26 via 192.168.1.12 dev eth0 proto 80 onlink
route add 10.244.30.0/26 via 10.244.30.0 dev vxlan.calico onlink
route add 10.9.2.0/26 via 192.168.1.12 dev eth0 proto bird
neighbor replace 10.244.10.5 lladdr 02:00:00:00:00:05 dev cali0d7763386da nud permanent
neighbor replace 10.244.20.0 lladdr 66:2d:bf:44:a6:8b dev vxlan.calico nud permanent
neighbor replace 10.244.30.0 lladdr 66:a4:6f:e0:c4:da dev vxlan.calico nud permanent
`;

/**
 * node1 of facts B.2 as Calico leaves it: made by hand of texts, never by tortie. With VXLAN in the place of IPIP,
 * which not every kernel has, and one more route of BIRD's.
 */
export async function calicoNode(name: string, backend: "nft" | "legacy"): Promise<FelixNode> {
  const node = new FelixNode(name, { ...environment, FELIX_IPTABLESBACKEND: backend });
  node.addPod("0d7763386da", "10.244.10.5", "02:00:00:00:00:05");
  await node.create(...clusterOfFacts());
  for (const line of commands.trim().split("\n")) node.run("ip", ...line.split(" "));
  for (const [mac, host] of [
    ["66:2d:bf:44:a6:8b", "192.168.1.12"],
    ["66:a4:6f:e0:c4:da", "192.168.2.13"],
  ] as const) {
    node.run("bridge", "fdb", "append", mac, "dev", "vxlan.calico", "dst", host, "self");
  }
  inside(node.netns, "ipset", ["restore"], sets);
  inside(node.netns, `iptables-${backend}-restore`, [], rules);
  return node;
}
