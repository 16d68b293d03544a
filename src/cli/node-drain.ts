import { drainAnnotation, isDraining } from "../api/drain.ts";
import { isElected } from "../api/elected-reflectors.ts";
import type { Node } from "../api/resources/node.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { blocksInUse } from "../bgp/config/drain.ts";
import { ownBlocks } from "../bgp/config/originate.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { rewrite } from "../datastore/rewrite.ts";
import { InputError } from "../lib/errors.ts";
import { nodeNameOf } from "../node/node-name.ts";
import type { Arguments } from "./arguments.ts";
import type { Verb, VerbContext } from "./verb.ts";

const pollMs = 1000;

/** `tortie node drain`: the one way to have a node's routes told as those of one that is about to go. */
export const nodeDrainVerb: Verb = {
  summary:
    `tell BGP peers that a node is about to go: its routes carry GRACEFUL_SHUTDOWN (RFC 8326), so that ` +
    `others are preferred, and a block that holds no workload is withdrawn. Nothing else drains a node: ` +
    `no cordon, stop or update does. It is kept in the annotation ${drainAnnotation} of the Node, so it ` +
    `outlives a restart of the speaker, until --undo`,
  usage: ["[NODE] [--dry-run] [--wait]", "[NODE] --undo [--dry-run]"],
  examples: ["tortie node drain node1 --wait", "tortie node drain node1 --undo"],
  options: {
    undo: { help: "tell the routes as usual again" },
    "dry-run": { help: "say what would be done, and do nothing" },
    wait: {
      help: "wait until the node's blocks hold no workload any more, and it is no elected route reflector",
    },
  },
  run: runDrain,
};

async function runDrain(args: Arguments, context: VerbContext): Promise<number> {
  const [name = nodeNameOf(context.io.env), extra] = args.words;
  if (extra !== undefined) throw new InputError(`Cannot drain more than one node, got "${extra}"`);
  const [undo, wait] = [args.has("undo"), args.has("wait")];
  if (undo && wait)
    throw new InputError("Cannot accept --wait with --undo: there is nothing to wait for");
  const datastore = await context.datastore();
  const node = await datastore.get<"Node">({ kind: "Node", name });
  const { stdout } = context.io;
  if (args.has("dry-run")) {
    stdout.write(await planText(node, !undo, datastore));
    return 0;
  }
  if (isDraining(node) === !undo) {
    stdout.write(`Node ${name} is ${undo ? "not drained" : "drained already"}\n`);
  } else {
    await rewrite(datastore, { kind: "Node", name }, (present) => withDrain(present, !undo));
    stdout.write(`Node ${name} is ${undo ? "not drained any more" : "drained"}\n`);
  }
  return wait ? waitUntilFree(name, context) : 0;
}

function withDrain(node: Node, on: boolean): Node {
  const { [drainAnnotation]: _before, ...others } = node.metadata.annotations ?? {};
  const annotations = on ? { ...others, [drainAnnotation]: "true" } : others;
  return { ...node, metadata: { ...node.metadata, annotations } };
}

/** What becomes of each block of the node. */
async function planText(node: Node, on: boolean, datastore: Datastore): Promise<string> {
  const { name } = node.metadata;
  const affinities = (await datastore.list("BlockAffinity")).items;
  const blocks = ownBlocks(affinities, name);
  const workloads = await workloadsOf(name, datastore);
  const kept = new Set(blocksInUse(blocks, withDrain(node, on), workloads).originated);
  const told = on ? "is told with GRACEFUL_SHUTDOWN" : "is told as usual";
  const lines = blocks.originated.map(
    (block) => `${block} ${kept.has(block) ? told : "is withdrawn: it holds no workload"}\n`,
  );
  return lines.length === 0 ? `Node ${name} has no blocks\n` : lines.join("");
}

/** @returns the exit code: 1 when it is interrupted. */
async function waitUntilFree(
  name: string,
  { io, clock, datastore, interrupted }: VerbContext,
): Promise<number> {
  const signal = interrupted();
  const store = await datastore();
  let before = "";
  while (!signal.aborted) {
    const { length } = await workloadsOf(name, store);
    const reflects = isElected(await store.get<"Node">({ kind: "Node", name }));
    if (length === 0 && !reflects) {
      io.stdout.write("No workload is left\n");
      return 0;
    }
    const left = `Workloads left: ${length}${reflects ? "; it is a route reflector" : ""}\n`;
    if (left !== before) io.stdout.write(left);
    before = left;
    await clock.sleep(pollMs, signal).catch(() => undefined);
  }
  return 1;
}

async function workloadsOf(node: string, datastore: Datastore): Promise<WorkloadEndpoint[]> {
  const { items } = await datastore.list("WorkloadEndpoint");
  return items.filter(({ spec }) => spec.node === node);
}
