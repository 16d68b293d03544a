import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import { InputError } from "../../lib/errors.ts";
import { collectionPath, collectionText } from "./collections.ts";
import { unavailable } from "./kube-error.ts";
import { type KubeHttp, parseKubeJson } from "./kube-http.ts";
import { decoded, type Listed } from "./kube-list.ts";
import type { KubeObject } from "./kube-object.ts";
import { linesOf } from "./lines-of.ts";
import type { Mapping } from "./mapping.ts";

export interface WatchListPorts {
  readonly http: KubeHttp;
  readonly clock: Clock;
  /** Longest silence before the list has ended. */
  readonly silenceMs: number;
}

const endAnnotation = "k8s.io/initial-events-end";

interface Told {
  readonly type: string;
  readonly object: KubeObject;
}

/**
 * All resources of a collection as the first events of a watch (KEP-3157): the server sends them one by one, from
 * memory. Undefined where it has no such watch (before 1.32, and in 1.33 unless WatchList is enabled), or does
 * not end it: an etcd that tells no progress (before 3.4.25) leaves it waiting for the next change, or has it refused in
 * its first event.
 */
export async function listByWatch(
  mapping: Mapping,
  namespace: string | undefined,
  ports: WatchListPorts,
): Promise<Listed | undefined> {
  const { collection } = mapping;
  const query = new URLSearchParams({
    watch: "1",
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    allowWatchBookmarks: "true",
  });
  const path = `${collectionPath(collection, namespace)}?${query}`;
  const ended = new AbortController();
  try {
    const body = await ports.http.stream(path, { verb: "watch", collection }, ended.signal);
    return await readInitialEvents(linesOf(body), mapping, { ...ports, ended });
  } catch (error) {
    // A query that it does not know, or does not finish.
    if (error instanceof InputError || ended.signal.aborted) return undefined;
    throw error;
  } finally {
    ended.abort();
  }
}

async function readInitialEvents(
  lines: AsyncIterable<string>,
  mapping: Mapping,
  ports: WatchListPorts & { readonly ended: AbortController },
): Promise<Listed | undefined> {
  const what = `Cannot list ${collectionText(mapping.collection)}`;
  const items = new Map<string, AnyResource>();
  const { clock, silenceMs, ended } = ports;
  const giveUp = () => ended.abort();
  let cancel = clock.setTimer(silenceMs, giveUp);
  try {
    for await (const line of lines) {
      cancel();
      cancel = clock.setTimer(silenceMs, giveUp);
      const { type, object } = parseKubeJson(line) as Told;
      if (type === "ERROR") return undefined;
      const { name, namespace, annotations, resourceVersion = "" } = object.metadata;
      if (type === "BOOKMARK") {
        if (annotations?.[endAnnotation] !== "true") continue;
        return { items: [...items.values()], revision: resourceVersion };
      }
      const resource = type === "DELETED" ? undefined : decoded(mapping, object);
      const key = `${namespace}/${name}`;
      if (resource === undefined) items.delete(key);
      else items.set(key, resource);
    }
  } finally {
    cancel();
  }
  throw unavailable(`${what}: the server ended it`);
}
