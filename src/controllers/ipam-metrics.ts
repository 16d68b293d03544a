import type { Allocation } from "../ipam/audit.ts";
import { affineNode } from "../ipam/block-affinity.ts";
import type { Survey } from "../ipam/ipam.ts";
import type { Metric, MetricSample } from "../lib/metrics.ts";
import { prefixContains, prefixSize } from "../lib/prefix.ts";

/** Words for what there is none of, as Calico's dashboards know them. */
const noPool = "no_ippool";
const noNode = "unknown_node";
const noAffinity = "no_affinity";

type Labels = Readonly<Record<string, string>>;

/** How the cluster's addresses are used, as of the last look of garbage collection (facts 3.10). */
export class IpamMetrics {
  #gauges: readonly Metric[] = [];
  readonly #reclaimed = new Counts();

  /** `candidates`: addresses that look leaked, and have not for long enough. */
  observe(
    survey: Pick<Survey, "allocations" | "blocks" | "pools">,
    candidates: readonly Allocation[],
  ): void {
    const { allocations, pools } = survey;
    const inUse = allocations.filter(({ coolingSince }) => coolingSince === undefined);
    const borrowed = inUse.filter(({ borrowedFrom }) => borrowedFrom !== undefined);
    const blocks = survey.blocks.map(({ cidr, spec }) => ({
      ippool: pools.find((pool) => prefixContains(pool.cidr, cidr))?.name ?? noPool,
      node: affineNode(spec.affinity) ?? noAffinity,
    }));
    const sizes = pools.map(({ name, cidr }) => ({
      labels: { ippool: name },
      value: Number(prefixSize(cidr)),
    }));
    const places = (of: readonly Allocation[]) => of.map(placeOf);
    const nodes = (of: readonly Labels[]) => of.map(({ node = "" }) => ({ node }));
    this.#gauges = [
      gauge("ipam_allocations_in_use", "Addresses in use.", samples(places(inUse))),
      gauge(
        "ipam_allocations_borrowed",
        "Addresses in use of blocks of other nodes.",
        samples(places(borrowed)),
      ),
      gauge(
        "ipam_allocations_gc_candidates",
        "Addresses that look leaked, and have not for long enough.",
        samples(places(candidates)),
      ),
      gauge("ipam_blocks", "Blocks, by the node that they are affine to.", samples(blocks)),
      gauge("ipam_ippool_size", "Addresses of a pool.", sizes),
      gauge("ipam_allocations_per_node", "As in_use, of all pools.", samples(nodes(places(inUse)))),
      gauge(
        "ipam_allocations_borrowed_per_node",
        "As borrowed, of all pools.",
        samples(nodes(places(borrowed))),
      ),
      gauge("ipam_blocks_per_node", "As ipam_blocks, of all pools.", samples(nodes(blocks))),
    ];
  }

  /** Leaked addresses have been given back. */
  reclaimed(allocations: readonly Allocation[]): void {
    for (const allocation of allocations) this.#reclaimed.add(placeOf(allocation));
  }

  collect(): readonly Metric[] {
    const help = "Leaked addresses that were given back.";
    const name = "ipam_allocations_gc_reclamations";
    return [...this.#gauges, { name, help, type: "counter", samples: this.#reclaimed.samples() }];
  }
}

function placeOf({ pool = noPool, attributes }: Allocation): Labels {
  return { ippool: pool, node: attributes["node"] ?? noNode };
}

function gauge(name: string, help: string, of: readonly MetricSample[]): Metric {
  return { name, help, type: "gauge", samples: of };
}

function samples(places: readonly Labels[]): MetricSample[] {
  const counts = new Counts();
  for (const labels of places) counts.add(labels);
  return counts.samples();
}

/** How often there was each set of labels. */
class Counts {
  readonly #byText = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels): void {
    const text = JSON.stringify(labels);
    const count = this.#byText.get(text) ?? { labels, value: 0 };
    this.#byText.set(text, { labels, value: count.value + 1 });
  }

  samples(): MetricSample[] {
    return [...this.#byText.values()];
  }
}
