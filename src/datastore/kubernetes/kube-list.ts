import type { IncomingMessage } from "node:http";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { isDatastoreError } from "../datastore.ts";
import { collectionPath } from "./collections.ts";
import { type KubeHttp, parseKubeJson } from "./kube-http.ts";
import type { KubeObject } from "./kube-object.ts";
import { type ListMetadata, readList } from "./list-reader.ts";
import type { Mapping } from "./mapping.ts";

/** Objects that one answer holds. */
const pageSize = 500;

export interface Listed {
  readonly items: readonly AnyResource[];
  readonly revision: string;
}

/**
 * All resources of a collection, page by page, all of one revision. Objects are converted as they come,
 * so that only one of them is in memory.
 */
export async function listKube(
  http: KubeHttp,
  mapping: Mapping,
  namespace: string | undefined,
): Promise<Listed> {
  try {
    return await listPages(http, mapping, namespace, pageSize);
  } catch (error) {
    // The first page's revision was compacted meanwhile: once more, at once.
    if (!isDatastoreError(error, "compacted")) throw error;
    return await listPages(http, mapping, namespace, 0);
  }
}

async function listPages(
  http: KubeHttp,
  mapping: Mapping,
  namespace: string | undefined,
  limit: number,
): Promise<Listed> {
  const { collection } = mapping;
  const path = collectionPath(collection, namespace);
  const items: AnyResource[] = [];
  for (let token = ""; ; ) {
    const query = new URLSearchParams({ limit: String(limit) });
    if (token !== "") query.set("continue", token);
    const page = (await http.call({
      method: "GET",
      path: `${path}?${query}`,
      asked: { verb: "list", collection },
      read: (body) => readPage(mapping, body),
    })) as Page;
    items.push(...page.items);
    const { resourceVersion, continue: next } = page.metadata;
    if (!next) return { items, revision: resourceVersion };
    token = next;
  }
}

interface Page {
  readonly items: readonly AnyResource[];
  readonly metadata: ListMetadata;
}

async function readPage(mapping: Mapping, body: IncomingMessage): Promise<Page> {
  const items: AnyResource[] = [];
  const metadata = await readList(body, (json) => {
    const resource = decoded(mapping, parseKubeJson(json) as KubeObject);
    if (resource !== undefined) items.push(resource);
  });
  return { items, metadata };
}

/** An object that cannot be read is passed over like an absent one. */
export function decoded(mapping: Mapping, object: KubeObject): AnyResource | undefined {
  try {
    return mapping.decode(object);
  } catch {
    return undefined;
  }
}

/** Where a watch that is to miss nothing of several lists starts. */
export function oldest(revisions: readonly bigint[]): string {
  return String(revisions.toSorted((a, b) => Number(a - b))[0] ?? 0n);
}
