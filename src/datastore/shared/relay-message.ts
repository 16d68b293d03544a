import type { ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";

/*
 * What the processes of a node say to each other about the kinds that all of them follow, on a unix socket, a line each:
 * the child asks "follow KIND,KIND", and is told every object, "in-sync", and then every change.
 */

export type RelayMessage =
  | { readonly is: "object"; readonly resource: ResourceOfKind[Kind] }
  | { readonly is: "gone"; readonly key: ResourceKey }
  | { readonly is: "in-sync" }
  /** Nothing is new. */
  | { readonly is: "alive" };

/** How often a follower hears something. */
export const aliveMs = 5_000;

const verb = "follow ";

export function followRequest(kinds: readonly Kind[]): string {
  return `${verb}${kinds.join(",")}\n`;
}

/** Undefined for what is no such request. */
export function kindsAskedFor(line: string): readonly Kind[] | undefined {
  return line.startsWith(verb) ? (line.slice(verb.length).split(",") as Kind[]) : undefined;
}
