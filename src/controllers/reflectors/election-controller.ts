import { electedLeaseKey, electedNodeOf, electedPeer } from "../../api/elected-reflectors.ts";
import { leaseNamespace } from "../../api/leases.ts";
import { keyOf } from "../../api/resource-key.ts";
import { bgpNodes } from "../../bgp/config/bgp-nodes.ts";
import { ResourceCache } from "../../bgp/speaker/resource-cache.ts";
import { isLocked } from "../../datastore/cluster-lock.ts";
import { type Datastore, unlessAbsent } from "../../datastore/datastore.ts";
import { runSyncer } from "../../datastore/reflector.ts";
import type { Update } from "../../datastore/syncer.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import { runServices, type Service } from "../../lib/service.ts";
import { type CountedPorts, counted } from "../reconcile-counts.ts";
import { carryOut } from "./carry-out.ts";
import { ElectionMemory } from "./election-memory.ts";
import {
  type ElectionAction,
  type ElectionPhase,
  type ElectionPlan,
  electionPlan,
  hasOurs,
} from "./election-plan.ts";
import { type ElectionView, electionView, isUntouched } from "./election-view.ts";

export interface ElectionPorts extends CountedPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Hears of each look. */
  readonly onState?: (state: ElectionState) => void;
}

/** How the election is. */
export interface ElectionState {
  readonly phase: ElectionPhase;
  readonly reason: string;
  /** Names of elected nodes. */
  readonly reflectors: readonly string[];
  /** Nodes that no reflector reaches, while there are any. */
  readonly uncovered: number;
}

/** One list of a handful of Leases each time; nothing while nobody asks for reflectors. Nodes may change all the time. */
const paces = { minIntervalMs: 1_000, retryIntervalMs: 5_000, maxIntervalMs: 5_000 };
const kinds = ["Node", "BGPConfiguration", "BGPPeer"] as const;
/** Acts that end sessions. */
const ending: ReadonlySet<ElectionAction["kind"]> = new Set(["meshOff", "retire", "deletePeer"]);

/**
 * Elects nodes as route reflectors, keeps the mesh until every session with them is established, moves a reflector
 * before its node goes, and brings the mesh back when the cluster is small or reflectors fail. See electionPlan().
 */
export function electionController(ports: ElectionPorts): Service {
  const { clock, log } = ports;
  return (signal) => {
    // Anew each time: who led before knows nothing of what went while another did.
    const election = new Election(ports);
    const runner = new PacedRunner(paces, clock);
    const onError = (error: unknown) => election.failed(errorMessage(error));
    const callbacks = {
      onUpdates: (updates: readonly Update[]) => {
        for (const update of updates) election.cache.apply(update);
        runner.request();
      },
      onStatus: (status: string) => {
        if (status === "in-sync") election.isInSync = true;
      },
    };
    return runServices(
      [
        (stop) =>
          runner.start(
            counted(ports, "election", () => election.look(stop)),
            onError,
            stop,
          ),
        (stop) => runSyncer({ kinds }, { ...ports, callbacks, log }, stop),
      ],
      signal,
    );
  };
}

class Election {
  readonly cache = new ResourceCache("");
  isInSync = false;
  readonly #ports: ElectionPorts;
  readonly #memory: ElectionMemory;
  #last = "";

  constructor(ports: ElectionPorts) {
    this.#ports = ports;
    this.#memory = new ElectionMemory(ports.clock.now());
  }

  async look(signal: AbortSignal): Promise<void> {
    if (!this.isInSync) return;
    const { datastore, clock } = this.#ports;
    let view = viewOf(this.cache);
    const isIdle = view.settings === undefined && view.problem === "" && !hasOurs(view);
    const leases = isIdle ? [] : await this.#leases(view);
    const times = this.#memory.observe(view, leases, clock.now());
    let plan = electionPlan(view, times);
    if (plan.actions.some(({ kind }) => ending.has(kind))) {
      // A watch may be behind: a node that it has not told of yet has no session with a reflector.
      view = viewOf(await this.#readNow());
      plan = electionPlan(view, times);
    }
    this.#tell(plan, view, times.uncovered.size);
    if (plan.actions.length === 0 || (await isLocked(datastore))) return;
    this.#memory.changed(plan, view, clock.now());
    for (const action of plan.actions) {
      if (signal.aborted) return;
      await carryOut(action, datastore);
      this.#ports.log.info({ ...action, reason: plan.reason }, "route reflectors");
    }
  }

  failed(reason: string): void {
    this.#ports.log.error({ reason }, "Cannot look after route reflectors");
  }

  async #readNow(): Promise<ResourceCache> {
    const cache = new ResourceCache("");
    for (const kind of kinds) {
      for (const value of (await this.#ports.datastore.list(kind)).items) {
        cache.apply({ key: keyOf(value), value });
      }
    }
    return cache;
  }

  /** Those of elected nodes; what others have left is taken away. */
  async #leases(view: ElectionView) {
    const { datastore } = this.#ports;
    const listed = datastore.list("Lease", { namespace: leaseNamespace });
    // Who looks old then may have been renewed unseen.
    listed.catch(() => this.#memory.forgetLeases());
    const { items } = await listed;
    const elected = new Set(view.nodes.filter((node) => node.isElected).map(({ name }) => name));
    const ours = items.filter((lease) => electedNodeOf(lease) !== undefined);
    for (const lease of ours) {
      const node = electedNodeOf(lease) ?? "";
      if (!elected.has(node)) await unlessAbsent(datastore.delete(electedLeaseKey(node)));
    }
    return ours;
  }

  #tell({ phase, reason }: ElectionPlan, { nodes }: ElectionView, uncovered: number): void {
    const reflectors = nodes.filter(({ isElected }) => isElected).map(({ name }) => name);
    this.#ports.onState?.({ phase, reason, reflectors, uncovered });
    const text = JSON.stringify([phase, reason, reflectors]);
    if (text === this.#last) return;
    if (this.#last !== "" || phase !== "off") {
      this.#ports.log.info({ phase, reason, reflectors }, "route reflectors");
    }
    this.#last = text;
  }
}

function viewOf({ resources }: ResourceCache): ElectionView {
  const read = {
    configuration: resources.configurations.get("default"),
    peer: resources.peers.get(electedPeer.metadata.name),
    nodes: resources.nodes,
  };
  // Most clusters have nothing to do with it: their nodes are not read each time.
  return electionView(read, isUntouched(read) ? [] : bgpNodes(resources, []));
}
