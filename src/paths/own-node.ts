import { isDeepStrictEqual } from "node:util";
import type { Condition } from "../api/condition.ts";
import { pathHealthyType, pathKeyAnnotation } from "../api/path-checks.ts";
import type { Node } from "../api/resources/node.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { PathReport } from "./run-check.ts";

/** What path checks write into this node's own Node. */

/** Tries of a change when others write too. */
const maxAttempts = 10;
const maxMessage = 1000;

/** The node with this key, or without one; the same object when that is nothing new. */
export function withPathKey(node: Node, publicKey: string | undefined): Node {
  if (node.metadata.annotations?.[pathKeyAnnotation] === publicKey) return node;
  const { [pathKeyAnnotation]: _before, ...others } = node.metadata.annotations ?? {};
  const annotations =
    publicKey === undefined ? others : { ...others, [pathKeyAnnotation]: publicKey };
  return { ...node, metadata: { ...node.metadata, annotations } };
}

/** The condition that a run ends in; `time` is RFC 3339. Only problems make it False. */
export function pathCondition({ findings, peers }: PathReport, time: string): Condition {
  const problems = findings.filter(({ severity }) => severity === "problem");
  const codes = [...new Set(problems.map(({ code }) => code))];
  const healthy = problems.length === 0;
  return {
    type: pathHealthyType,
    status: healthy ? "True" : "False",
    reason: healthy ? "AllPathsSound" : codes.map(camelCase).join(""),
    message: healthy
      ? `of ${peers.length} peers`
      : problems
          .map(({ text }) => text)
          .join("; ")
          .slice(0, maxMessage),
    lastTransitionTime: time,
  };
}

/**
 * The node with the condition; the same object when that says nothing new. What is wrong counts: another
 * message then tells of another node.
 */
export function withCondition(node: Node, condition: Condition): Node {
  const conditions = node.status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === condition.type);
  const isSame = before?.status === condition.status && before.reason === condition.reason;
  if (isSame && (condition.status !== "False" || before.message === condition.message)) return node;
  const since = isSame ? before.lastTransitionTime : condition.lastTransitionTime;
  const others = conditions.filter(({ type }) => type !== condition.type);
  const next = { ...condition, lastTransitionTime: since };
  return { ...node, status: { ...node.status, conditions: [...others, next] } };
}

/** The node, without an answer of yesterday: what no run renews is not known. */
export function withoutRuns(node: Node, time: string): Node {
  if (!node.status?.conditions?.some(({ type }) => type === pathHealthyType)) return node;
  return withCondition(node, {
    type: pathHealthyType,
    status: "Unknown",
    reason: "NotChecked",
    message: "pathChecks is Disabled, or pathCheckInterval is 0",
    lastTransitionTime: time,
  });
}

/** Reads, changes and writes a Node, again when others write too. What does not change is not written. */
export async function changeNode(
  name: string,
  datastore: Datastore,
  change: (node: Node) => Node,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const node = await datastore.get<"Node">({ kind: "Node", name });
    const changed = change(node);
    if (isDeepStrictEqual(changed, node)) return;
    try {
      await datastore.update<"Node">(changed);
      return;
    } catch (error) {
      if (attempt >= maxAttempts || !isDatastoreError(error, "conflict")) throw error;
    }
  }
}

/** "no-route" becomes "NoRoute". */
function camelCase(code: string): string {
  return code.replaceAll(/(^|-)(\w)/g, (_all, _dash, letter: string) => letter.toUpperCase());
}
