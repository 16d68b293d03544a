import {
  electedLabel,
  electedPeer,
  isElected,
  isElectedPeer,
  meshOffAnnotation,
  meshOffMark,
} from "../../api/elected-reflectors.ts";
import { keyOf } from "../../api/resource-key.ts";
import type { BGPConfiguration } from "../../api/resources/bgp.ts";
import type { Node } from "../../api/resources/node.ts";
import { type Datastore, unlessAbsent } from "../../datastore/datastore.ts";
import { rewrite } from "../../datastore/rewrite.ts";
import type { ElectionAction } from "./election-plan.ts";

/**
 * Does one thing of a plan. What somebody else has done since the plan was made stays: then it does nothing, and the
 * next plan sees it.
 */
export async function carryOut(action: ElectionAction, datastore: Datastore): Promise<void> {
  switch (action.kind) {
    case "writePeer":
      return await writePeer(datastore);
    case "deletePeer":
      return await deletePeer(datastore);
    case "elect":
      return await rewriteNode(action.node, datastore, (node) => elected(node, action.clusterId));
    case "retire":
      return await rewriteNode(action.node, datastore, retired);
    case "meshOff":
      return await switchMeshOff(datastore);
    case "meshOn":
      return await switchMeshOn(datastore);
  }
}

async function writePeer(datastore: Datastore): Promise<void> {
  const present = await unlessAbsent(datastore.get<"BGPPeer">(keyOf(electedPeer)));
  if (present === undefined) {
    await datastore.create<"BGPPeer">(electedPeer);
  } else if (isElectedPeer(present)) {
    await datastore.update<"BGPPeer">({ ...present, spec: electedPeer.spec });
  }
}

async function deletePeer(datastore: Datastore): Promise<void> {
  const present = await unlessAbsent(datastore.get<"BGPPeer">(keyOf(electedPeer)));
  if (present === undefined || !isElectedPeer(present)) return;
  await unlessAbsent(datastore.delete(keyOf(present), present.metadata.resourceVersion));
}

async function rewriteNode(
  name: string,
  datastore: Datastore,
  change: (node: Node) => Node,
): Promise<void> {
  await unlessAbsent(rewrite(datastore, { kind: "Node", name }, change));
}

/** Label and cluster ID in one write: a node with one of them alone has half of its sessions. */
function elected(node: Node, clusterId: string): Node {
  const { bgp } = node.spec;
  if (bgp === undefined || (bgp.routeReflectorClusterID ?? "") !== "") return node;
  const labels = { ...node.metadata.labels, [electedLabel]: clusterId };
  return {
    ...node,
    metadata: { ...node.metadata, labels },
    spec: { ...node.spec, bgp: { ...bgp, routeReflectorClusterID: clusterId } },
  };
}

function retired(node: Node): Node {
  if (!isElected(node)) return node;
  const { [electedLabel]: _mark, ...labels } = node.metadata.labels ?? {};
  const { routeReflectorClusterID: _cluster, ...bgp } = node.spec.bgp ?? {};
  return { ...node, metadata: { ...node.metadata, labels }, spec: { ...node.spec, bgp } };
}

const configurationKey = { kind: "BGPConfiguration", name: "default" } as const;

async function switchMeshOff(datastore: Datastore): Promise<void> {
  const off = (present: BGPConfiguration): BGPConfiguration => {
    const { metadata, spec } = present;
    if (spec.nodeToNodeMeshEnabled === false) return present;
    const annotations = { ...metadata.annotations, [meshOffAnnotation]: meshOffMark };
    return {
      ...present,
      metadata: { ...metadata, annotations },
      spec: { ...spec, nodeToNodeMeshEnabled: false },
    };
  };
  await unlessAbsent(rewrite(datastore, configurationKey, off));
}

async function switchMeshOn(datastore: Datastore): Promise<void> {
  const on = (present: BGPConfiguration): BGPConfiguration => {
    const { metadata, spec } = present;
    const { [meshOffAnnotation]: mark, ...annotations } = metadata.annotations ?? {};
    if (mark !== meshOffMark) return present;
    return {
      ...present,
      metadata: { ...metadata, annotations },
      spec: { ...spec, nodeToNodeMeshEnabled: true },
    };
  };
  await unlessAbsent(rewrite(datastore, configurationKey, on));
}
