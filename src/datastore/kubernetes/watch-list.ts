import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import { InputError } from "../../lib/errors.ts";
import { linesOf } from "../../lib/lines-of.ts";
import { collectionPath, collectionText } from "./collections.ts";
import { unavailable } from "./kube-error.ts";
import { type KubeHttp, parseKubeJson } from "./kube-http.ts";
import { decoded, type Listed } from "./kube-list.ts";
import type { KubeObject } from "./kube-object.ts";
import type { Mapping } from "./mapping.ts";
import { watchSeconds } from "./watch-seconds.ts";

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

/** A list, and the rest of the answer that it came with. */
export interface WatchedList extends Listed {
  /** What the server tells next. */
  readonly changes: AsyncIterable<string>;
}

/**
 * All resources of a collection as the first events of a watch (KEP-3157): the server sends them one by one, from
 * memory, and goes on with what changes, until `signal` aborts. Undefined where it has no such watch (before 1.32, and in
 * 1.33 unless WatchList is enabled), or does not end the list: an etcd that tells no progress (before 3.4.25) leaves it
 * waiting for the next change, or has it refused in its first event.
 */
export async function listByWatch(
  mapping: Mapping,
  ports: WatchListPorts,
  signal: AbortSignal,
): Promise<WatchedList | undefined> {
  const { collection } = mapping;
  const query = new URLSearchParams({
    watch: "1",
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    allowWatchBookmarks: "true",
    timeoutSeconds: String(watchSeconds()),
  });
  const path = `${collectionPath(collection)}?${query}`;
  const late = new AbortController();
  const stop = AbortSignal.any([signal, late.signal]);
  try {
    const body = await ports.http.stream(path, { verb: "watch", collection }, stop);
    const changes = linesOf(body);
    const giveUp = () => late.abort();
    const listed = await readInitialEvents(changes, mapping, { ...ports, giveUp });
    if (listed === undefined) giveUp();
    return listed === undefined ? undefined : { ...listed, changes };
  } catch (error) {
    // A query that it does not know, or does not finish.
    if (error instanceof InputError || late.signal.aborted) return undefined;
    throw error;
  }
}

/** Leaves `lines` at the first that is not of the list. */
async function readInitialEvents(
  lines: AsyncGenerator<string>,
  mapping: Mapping,
  ports: WatchListPorts & { readonly giveUp: () => void },
): Promise<Listed | undefined> {
  const items = new Map<string, AnyResource>();
  const { clock, silenceMs, giveUp } = ports;
  let cancel = clock.setTimer(silenceMs, giveUp);
  try {
    for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
      cancel();
      cancel = clock.setTimer(silenceMs, giveUp);
      const { type, object } = parseKubeJson(next.value) as Told;
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
  throw unavailable(`Cannot list ${collectionText(mapping.collection)}: the server ended it`);
}
