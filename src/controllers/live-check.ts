import type { Node } from "../api/resources/node.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import { allocationUse } from "../ipam/allocation-use.ts";
import { usersOf } from "../ipam/audit.ts";
import { handleName } from "../ipam/handles.ts";
import { machineKey } from "../ipam/vm-handle.ts";
import { machineStates } from "../ipam/vm-states.ts";
import type { Clock, Millis } from "../lib/clock.ts";

import type { Leak } from "./ipam-collector.ts";

export interface LiveCheckPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
}

interface Listed {
  readonly at: Millis;
  readonly endpoints: readonly WorkloadEndpoint[];
}

/** A namespace with a thousand leaks is not listed a thousand times. */
const freshMs = 2_000;

/**
 * What a release goes by, read again just before it (facts 3.10 step 4): the leak's nodes, its handle,
 * and the endpoints of its namespaces, which may be 2 s old. Blocks are not read: the release itself
 * goes by handle and sequence number.
 */
export class LiveCheck {
  readonly #ports: LiveCheckPorts;
  readonly #listed = new Map<string, Listed>();

  constructor(ports: LiveCheckPorts) {
    this.#ports = ports;
  }

  async isNodeGone(name: string): Promise<boolean> {
    return (await this.#node(name)) === undefined;
  }

  /** False as soon as any of its addresses may be in use, or its handle has others besides. */
  async isLeaked(leak: Leak): Promise<boolean> {
    const { allocations, handle, reason } = leak;
    if ((await this.#countOf(handle)) > allocations.length) return false;
    const nodes = await this.#nodesOf(leak);
    const users = usersOf({ endpoints: await this.#endpointsOf(leak), nodes });
    const present = new Set(nodes.map(({ metadata }) => metadata.name));
    const states = await machineStates(allocations, this.#ports.datastore);
    return allocations.every((allocation) => {
      const { machine } = allocation;
      const seen = {
        ...allocation,
        users: users.get(allocation.address) ?? [],
        ...(machine && {
          machine: { ...machine, state: states.get(machineKey(machine)) ?? "unknown" },
        }),
      };
      const use = allocationUse(seen, present);
      return use === "node-gone" || (use === "unused" && reason === "unused");
    });
  }

  async #nodesOf({ allocations }: Leak): Promise<Node[]> {
    const names = new Set(allocations.flatMap(({ attributes }) => attributes["node"] ?? []));
    const found = await Promise.all([...names].map((name) => this.#node(name)));
    return found.filter((node) => node !== undefined);
  }

  async #node(name: string): Promise<Node | undefined> {
    return await unlessAbsent(this.#ports.datastore.get({ kind: "Node", name }));
  }

  /** How many addresses the handle counts. */
  async #countOf(handle: string): Promise<number> {
    const key = { kind: "IPAMHandle", name: handleName(handle) } as const;
    const found = await unlessAbsent(this.#ports.datastore.get(key));
    if (found === undefined || found.spec.deleted === true) return 0;
    return Object.values(found.spec.block).reduce((sum, count) => sum + count, 0);
  }

  async #endpointsOf({ allocations }: Leak): Promise<readonly WorkloadEndpoint[]> {
    const namespaces = new Set(
      allocations.flatMap(
        ({ attributes, machine }) => attributes["namespace"] ?? machine?.namespace ?? [],
      ),
    );
    const listed = await Promise.all([...namespaces].map((each) => this.#endpointsIn(each)));
    return listed.flat();
  }

  async #endpointsIn(namespace: string): Promise<readonly WorkloadEndpoint[]> {
    const { clock, datastore } = this.#ports;
    const before = this.#listed.get(namespace);
    const at = clock.now();
    if (before !== undefined && at - before.at < freshMs) return before.endpoints;
    const { items } = await datastore.list("WorkloadEndpoint", { namespace });
    this.#listed.set(namespace, { at, endpoints: items });
    return items;
  }
}
