import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { BlockAttribute } from "../../../src/api/resources/ipam.ts";
import type { Node } from "../../../src/api/resources/node.ts";
import type { WorkloadEndpoint } from "../../../src/api/resources/workload-endpoint.ts";
import { IpamCollector } from "../../../src/controllers/ipam-collector.ts";
import { audit } from "../../../src/ipam/audit.ts";
import type { StoredBlock } from "../../../src/ipam/ipam-records.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";

const cidr = parsePrefix("10.0.0.0/29");

/** An address of the block: whose it is, and whether somebody uses it. */
interface Given {
  readonly attribute: BlockAttribute;
  readonly used: boolean;
}

const maybe = (...values: readonly string[]) => fc.option(fc.constantFrom(...values));
const given: fc.Arbitrary<Given> = fc
  .record({
    handle: fc.constantFrom("a", "b", "c", "", "windows-reserved-ipam-handle"),
    node: maybe("here", "gone"),
    pod: maybe("p", ""),
    namespace: maybe("default"),
    type: maybe("vxlanTunnelAddress", "other"),
    cooling: fc.boolean(),
    used: fc.boolean(),
  })
  .map(({ handle, cooling, used, ...others }) => {
    const told = Object.entries(others).filter(([, value]) => value !== null);
    const secondary = Object.fromEntries(told) as Record<string, string>;
    const owner = { handle_id: handle, secondary };
    const attribute = cooling ? { ...owner, releasedAt: "2026-01-01T00:00:00Z" } : owner;
    return { attribute, used };
  });

test("what `ipam check` calls leaked is what garbage collection gives back when it lasts", () => {
  fc.assert(
    fc.property(fc.array(given, { maxLength: 8 }), (all) => {
      const input = inputOf(all);
      const { allocations, problems } = audit(input);
      const nodes = new Set(["here"]);
      const observation = { ...input, allocations, affinities: [], nodes };
      const collector = new IpamCollector();
      collector.observe(observation, 1, 0);
      const { leaks } = collector.observe(observation, 1, 1_000_000);
      const collected = leaks.flatMap(({ allocations: all }) => all.map(({ address }) => address));
      const leaked = problems.flatMap((each) => (each.kind === "leaked" ? [each.address] : []));
      assert.deepEqual(leaked.sort(), collected.sort());
    }),
    { numRuns: 300 },
  );
});

function inputOf(all: readonly Given[]) {
  const spec = {
    cidr,
    affinity: "host:here",
    allocations: Array.from({ length: 8 }, (_, ordinal) => (ordinal < all.length ? ordinal : null)),
    unallocated: [],
    attributes: all.map(({ attribute }) => attribute),
    sequenceNumber: 9n,
    sequenceNumberForAllocation: {},
  };
  const resource = {
    apiVersion: calicoApiVersion,
    kind: "IPAMBlock",
    metadata: { name: "10-0-0-0-29" },
    spec,
  } as const;
  const blocks: StoredBlock[] = [{ cidr, resource, spec }];
  const endpoints = all.flatMap(({ used }, ordinal) => (used ? [endpointOf(ordinal)] : []));
  const node: Node = {
    apiVersion: calicoApiVersion,
    kind: "Node",
    metadata: { name: "here" },
    spec: {},
  };
  return { pools: [], blocks, handles: [], endpoints, nodes: [node] };
}

function endpointOf(ordinal: number): WorkloadEndpoint {
  const pod = `p${ordinal}`;
  return {
    apiVersion: calicoApiVersion,
    kind: "WorkloadEndpoint",
    metadata: { name: `here-k8s-${pod}-eth0`, namespace: "default" },
    spec: {
      orchestrator: "k8s",
      node: "here",
      pod,
      endpoint: "eth0",
      ipNetworks: [`10.0.0.${ordinal}/32`],
      interfaceName: `cali${pod}`,
    },
  };
}
