import { routeKey } from "../../../../src/kernel/ip/route-identity.ts";
import type {
  FdbEntry,
  Kernel,
  KernelFailure,
  KernelLink,
  KernelNeighbor,
  KernelRoute,
} from "../../../../src/kernel/kernel.ts";

/** As `ip route` prints it, with the ifindex for the device. */
export function routeText(route: KernelRoute): string {
  const { kind, destination, gateway, ifindex, protocol, scope, onlink } = route;
  return [
    kind === "unicast" ? "" : kind,
    destination,
    gateway === undefined ? "" : `via ${gateway}`,
    ifindex === undefined ? "" : `dev ${ifindex}`,
    `proto ${protocol}`,
    scope === "universe" ? "" : `scope ${scope}`,
    onlink === true ? "onlink" : "",
  ]
    .filter((word) => word !== "")
    .join(" ");
}

/** Routes, neighbors, forwarding entries and links in memory. What it is told to refuse it refuses. */
export class FakeKernel {
  readonly routes: Map<string, KernelRoute> = new Map();
  readonly neighbors: Map<string, KernelNeighbor> = new Map();
  readonly fdb: Map<string, FdbEntry> = new Map();
  readonly links: KernelLink[] = [];
  /** Destinations and addresses that it refuses. */
  readonly refused: Set<string> = new Set();
  writes = 0;

  get kernel(): Kernel {
    const { routes, neighbors, fdb } = this;
    const table = <Entry>(
      entries: Map<string, Entry>,
      key: (entry: Entry) => string,
      name: (entry: Entry) => string,
    ) => ({
      replace: async (all: readonly Entry[]): Promise<KernelFailure<Entry>[]> =>
        all.flatMap((entry) => {
          this.writes++;
          if (this.refused.has(name(entry))) return [{ entry, errno: 22, message: "refused" }];
          entries.set(key(entry), entry);
          return [];
        }),
      remove: async (all: readonly Entry[]): Promise<KernelFailure<Entry>[]> => {
        for (const entry of all) {
          this.writes++;
          entries.delete(key(entry));
        }
        return [];
      },
    });
    const fake = {
      routes: {
        list: async () => [...routes.values()],
        ...table(routes, routeKey, ({ destination }) => destination),
      },
      neighbors: {
        list: async () => [...neighbors.values()],
        ...table(
          neighbors,
          (entry) => `${entry.ifindex} ${entry.address}`,
          ({ address }) => address,
        ),
      },
      fdb: {
        list: async () => [...fdb.values()],
        ...table(
          fdb,
          (entry) => `${entry.ifindex} ${entry.mac}`,
          ({ mac }) => mac,
        ),
      },
      links: { list: async () => this.links },
    };
    return fake as unknown as Kernel;
  }

  add(route: KernelRoute): void {
    this.routes.set(routeKey(route), route);
  }

  /** The main table, sorted. */
  text(): string[] {
    return [...this.routes.values()].map(routeText).sort();
  }
}
