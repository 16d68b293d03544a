import { poolEncapsulation } from "../api/pool-encapsulation.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { Node } from "../api/resources/node.ts";
import { isWireguardKey } from "../kernel/wireguard/wireguard-key.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import { parseInterfaceAddress, parsePrefix, prefixHasAddress, prefixOf } from "../lib/prefix.ts";
import type { PolicyCluster } from "./cluster.ts";

/** A packet from node to node, by the names of the nodes. */
export interface Crossing {
  readonly from: string;
  readonly to: string;
  readonly destination: IpAddr;
}

/** Which packets between nodes take a tunnel: the pool of the destination tells (facts 2.3). */
export class Tunnels {
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #pools: readonly IPPool[];

  constructor({ nodes, pools }: Pick<PolicyCluster, "nodes" | "pools">) {
    this.#nodes = new Map(nodes.map((node) => [node.metadata.name, node]));
    this.#pools = pools;
  }

  /** Address of the tunnel device of `node` through which the packet goes; undefined: it takes none. */
  deviceAddress(node: string, crossing: Crossing): IpAddr | undefined {
    const { spec } = this.#nodes.get(node) ?? {};
    const family = ipFamily(crossing.destination);
    if (this.#isEncrypted(crossing, family)) {
      const own = spec?.wireguard;
      const address = family === 4 ? own?.interfaceIPv4Address : own?.interfaceIPv6Address;
      return address === undefined ? undefined : parseInterfaceAddress(address).address;
    }
    const pool = this.#pools.find(({ spec: { cidr } }) =>
      prefixHasAddress(parsePrefix(cidr), crossing.destination),
    );
    if (pool === undefined) return undefined;
    const { class: poolClass, crossSubnet } = poolEncapsulation(pool);
    if (poolClass === "none" || poolClass === "noEncap") return undefined;
    if (crossSubnet && this.#shareSubnet(crossing)) return undefined;
    const v4 = poolClass === "ipip" ? spec?.bgp?.ipv4IPIPTunnelAddr : spec?.ipv4VXLANTunnelAddr;
    const text = family === 4 ? v4 : spec?.ipv6VXLANTunnelAddr;
    return text === undefined ? undefined : parseInterfaceAddress(text).address;
  }

  /** Between two nodes that have WireGuard no other tunnel is used (facts 4.21). */
  #isEncrypted({ from, to }: Crossing, family: IpFamily): boolean {
    return [from, to].every((name) => {
      const { status } = this.#nodes.get(name) ?? {};
      const key = family === 4 ? status?.wireguardPublicKey : status?.wireguardPublicKeyV6;
      return key !== undefined && isWireguardKey(key);
    });
  }

  #shareSubnet({ from, to, destination }: Crossing): boolean {
    const [own, other] = [from, to].map((name) => {
      const { bgp } = this.#nodes.get(name)?.spec ?? {};
      return ipFamily(destination) === 4 ? bgp?.ipv4Address : bgp?.ipv6Address;
    });
    if (own === undefined || other === undefined) return false;
    const { address, length } = parseInterfaceAddress(own);
    return prefixHasAddress(prefixOf(address, length), parseInterfaceAddress(other).address);
  }
}
