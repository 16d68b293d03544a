import { isDeepStrictEqual } from "node:util";
import { compareText } from "../../lib/collections.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import {
  type InterfaceAddress,
  prefixFamily,
  prefixHasAddress,
  prefixOf,
} from "../../lib/prefix.ts";
import type { ActivePool, DataplaneUpdate, HostAddresses } from "../calc/updates.ts";

/** Nodes that one line of the log names. */
const namedNodes = 10;

/**
 * Tells of nodes that lie in this node's subnet while this node does not lie in theirs, or the other way
 * round: with CrossSubnet packets then go one way through the tunnel and the other way without it, as each
 * node goes by its own mask (facts 4.9).
 */
export class SubnetWatch {
  readonly #nodeName: string;
  readonly #log: Pick<Logger, "warn">;
  readonly #hosts = new Map<string, HostAddresses>();
  readonly #pools = new Map<string, ActivePool>();
  #isDirty = false;
  #told: readonly string[] = [];

  constructor(nodeName: string, log: Pick<Logger, "warn">) {
    this.#nodeName = nodeName;
    this.#log = log;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "host" && update.kind !== "pool") return;
    this.#isDirty = true;
    if (update.op === "remove")
      (update.kind === "host" ? this.#hosts : this.#pools).delete(update.id);
    else if (update.kind === "host") this.#hosts.set(update.id, update.value);
    else this.#pools.set(update.id, update.value);
  }

  /** Logs what was not logged yet. */
  tell(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const nodes = ([4, 6] as const).flatMap((family) => this.#asymmetric(family));
    if (isDeepStrictEqual(nodes, this.#told)) return;
    this.#told = nodes;
    if (nodes.length === 0) return;
    this.#log.warn(
      { nodes: nodes.slice(0, namedNodes), count: nodes.length },
      "subnets of nodes do not agree: with CrossSubnet packets take the tunnel in one direction alone",
    );
  }

  /** "NAME ADDRESS/LENGTH" of each node, sorted. */
  #asymmetric(family: IpFamily): string[] {
    const pools = [...this.#pools.values()];
    if (!pools.some((pool) => pool.crossSubnet && prefixFamily(pool.cidr) === family)) return [];
    const own = addressOf(this.#hosts.get(this.#nodeName), family);
    if (own === undefined) return [];
    return [...this.#hosts]
      .flatMap(([name, host]) => {
        const other = addressOf(host, family);
        if (other === undefined || isIn(own, other) === isIn(other, own)) return [];
        return `${name} ${other.address}/${other.length}`;
      })
      .sort(compareText);
  }
}

function addressOf(
  host: HostAddresses | undefined,
  family: IpFamily,
): InterfaceAddress | undefined {
  return family === 4 ? host?.v4 : host?.v6;
}

/** True when `a` lies in the subnet of `b`. */
function isIn(a: InterfaceAddress, b: InterfaceAddress): boolean {
  if (ipFamily(a.address) !== ipFamily(b.address)) return false;
  return prefixHasAddress(prefixOf(b.address, b.length), a.address);
}
