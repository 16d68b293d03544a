import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { policyCluster } from "../../src/policy/cluster.ts";
import { PolicyModel } from "../../src/policy/model.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { decisionText } from "../../src/policy/verdict.ts";
import { arbitraryCase, type Case } from "./arbitrary-cluster/arbitrary-case.ts";
import { packetsOfBoth } from "./arbitrary-cluster/packets.ts";
import { pods, v4Of, v6Of } from "./arbitrary-cluster/pools.ts";
import { differences, type End, endOf } from "./differential.ts";
import type { PolicyNodes } from "./policy-nodes.ts";
import { waitFor } from "./wait-for.ts";

/** A packet that the kernel treats otherwise than the model, or than the interpreter of the rules. */
export interface PacketDifference {
  readonly packet: Packet;
  readonly model: string;
  readonly rules?: string;
  readonly kernel?: string;
}

interface Sent {
  readonly id: number;
  readonly packet: Packet;
  readonly source: End;
  readonly destination: End;
}

/** Of a case, at most: a case is programmed in the time in which thousands are sent. */
const perFamily = 300;
const arrivalMs = 3_000;
/** What passes is there when it is sent: only the first packet to a neighbour waits, for its address. */
const lateMs = 30;
let nextId = 0x1000_0000;

/** Tries random clusters on real nodes until one tells a difference, which is then shrunk if asked. */
export async function comparePackets(
  nodes: PolicyNodes,
  options: { readonly clusters: number; readonly shrink?: boolean },
): Promise<{ readonly clusters: number; readonly packets: number }> {
  let packets = 0;
  const property = fc.asyncProperty(arbitraryCase(packetsOfBoth(perFamily)), async (given) => {
    const { sent, differences: found } = await packetDifferences(given, nodes);
    packets += sent;
    assert.deepEqual(found, []);
  });
  await fc.assert(property, {
    numRuns: options.clusters,
    endOnFailure: options.shrink !== true,
  });
  return { clusters: options.clusters, packets };
}

/** Programs the case into the nodes and sends its packets, as far as they can be sent. */
async function packetDifferences(
  drawn: Case,
  nodes: PolicyNodes,
): Promise<{ readonly sent: number; readonly differences: readonly PacketDifference[] }> {
  const given = nodes.adapted(drawn);
  const ruleDifferences = await differences(given);
  await nodes.program(given.resources);
  const model = new PolicyModel(policyCluster(given.resources));
  const sent = sendable(given).map(({ packet, ...ends }) => {
    const one: Sent = { id: nextId++, packet, ...ends };
    nodes.socketsAt(one.source.node, one.source.interfaceName).send(packet, one.id);
    return { ...one, verdict: model.judge(packet) };
  });
  const arrived = ({ id, destination }: Sent) =>
    nodes.socketsAt(destination.node, destination.interfaceName).hears(id);
  const awaited = sent.filter(({ verdict }) => verdict.allowed);
  await waitFor(() => awaited.every(arrived), { timeoutMs: arrivalMs, intervalMs: 2 }).catch(
    () => undefined,
  );
  await delay(lateMs);
  const kernelDifferences = sent
    .filter((one) => arrived(one) !== one.verdict.allowed)
    .map(({ packet, verdict: { allowed, decision } }) => ({
      packet,
      model: `${allowed ? "allowed" : "denied"}: ${decisionText(decision)}`,
      kernel: allowed ? "denied" : "allowed",
    }));
  return { sent: sent.length, differences: [...ruleDifferences, ...kernelDifferences] };
}

/**
 * Packets between ends that are there, each the first of its connection: one that looks like the answer
 * to another would belong to that one's. Of ICMP, connection tracking knows echo requests as such.
 */
function sendable({ resources, packets }: Case): Omit<Sent, "id">[] {
  const connections = new Set<string>();
  const nobody = new Set(pods.flatMap((index) => [v4Of(index), v6Of(index)]));
  return packets.flatMap((packet) => {
    const source = endOf(packet.source, resources);
    const destination = endOf(packet.destination, resources);
    if (source.node === undefined && destination.node === undefined) return [];
    const absent = [source, destination].some(
      ({ node }, index) =>
        node === undefined && nobody.has(index === 0 ? packet.source : packet.destination),
    );
    const key = connectionOf(packet);
    if (absent || connections.has(key)) return [];
    if (packet.icmp !== undefined && !isEcho(packet)) return [];
    connections.add(key);
    return [{ packet, source, destination }];
  });
}

function isEcho({ protocol, icmp }: Packet): boolean {
  return icmp?.type === (protocol === 58 ? 128 : 8);
}

function connectionOf({
  source,
  destination,
  protocol,
  sourcePort,
  destinationPort,
}: Packet): string {
  const ends = [`${source} ${sourcePort}`, `${destination} ${destinationPort}`];
  return `${protocol} ${ends.sort().join(" ")}`;
}
