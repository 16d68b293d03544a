import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string | null>>;
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string }[] };
}

/** What a request names. */
interface Place {
  readonly collection: string;
  readonly name: string | undefined;
}

const plurals = /^(.*\/(?:[a-z]+\.[a-z.0-9]+\/v[0-9a-z]+|v1)(?:\/namespaces\/[^/]+)?\/[a-z]+)(.*)$/;

/**
 * An API server in memory, for counting what it is asked: objects are what was put, versions are compared, lists
 * come as watches where `hasWatchList`. It knows every collection but those of `unknown`.
 */
export class FakeKubeApi {
  /** "GET /api/v1/nodes?watch": every request, without what its query says. */
  readonly asked: string[] = [];
  readonly #objects = new Map<string, Stored>();
  readonly #events: {
    readonly collection: string;
    readonly type: string;
    readonly object: Stored;
  }[] = [];
  readonly #watchers = new Set<{
    readonly collection: string;
    readonly response: ServerResponse;
  }>();
  readonly #options: { readonly hasWatchList: boolean; readonly unknown: readonly string[] };
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #version = 1;

  private constructor(options: { hasWatchList: boolean; unknown: readonly string[] }) {
    this.#options = options;
  }

  static async start(options: {
    hasWatchList: boolean;
    unknown: readonly string[];
  }): Promise<FakeKubeApi> {
    const api = new FakeKubeApi(options);
    await new Promise<void>((resolve) => api.#server.listen(0, "127.0.0.1", resolve));
    return api;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  put(collection: string, object: Stored): Stored {
    const path = `${collection}/${object.metadata.name}`;
    const type = this.#objects.has(path) ? "MODIFIED" : "ADDED";
    const stored = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: `${++this.#version}` },
    };
    this.#objects.set(path, stored);
    this.#events.push({ collection, type, object: stored });
    for (const { collection: watched, response } of this.#watchers) {
      if (watched === collection) response.write(lineOf({ type, object: stored }));
    }
    return stored;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", this.endpoint);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const isWatch = searchParams.has("watch");
    this.asked.push(`${request.method} ${pathname}${isWatch ? "?watch" : ""}`);
    const place = placeOf(pathname);
    if (this.#options.unknown.includes(place.collection)) return end(response, 404, undefined);
    const text = Buffer.concat(chunks).toString();
    if (isWatch) return this.#watch(place.collection, searchParams, response);
    if (place.name === undefined && request.method === "GET")
      return this.#list(place.collection, response);
    const body = text === "" ? undefined : (JSON.parse(text) as Stored);
    const [status, answer] = this.#call(request.method ?? "", place, body);
    end(response, status, answer);
  }

  #call(method: string, { collection, name }: Place, body: Stored | undefined): [number, unknown] {
    const key = name ?? body?.metadata.name;
    const present = this.#objects.get(`${collection}/${key}`);
    if (method === "POST" && body !== undefined) {
      return present === undefined
        ? [201, this.put(collection, body)]
        : [409, { reason: "AlreadyExists" }];
    }
    if (present === undefined) return [404, { reason: "NotFound" }];
    if (method === "GET") return [200, present];
    const { resourceVersion = present.metadata.resourceVersion } = body?.metadata ?? {};
    if (resourceVersion !== present.metadata.resourceVersion) return [409, { reason: "Conflict" }];
    if (method === "PUT" && body !== undefined) return [200, this.put(collection, body)];
    if (method === "PATCH" && body !== undefined)
      return [200, this.put(collection, patched(present, body))];
    return [405, {}];
  }

  #list(collection: string, response: ServerResponse): void {
    const metadata = { resourceVersion: `${this.#version}` };
    end(response, 200, { metadata, items: this.#objectsOf(collection) });
  }

  #watch(collection: string, query: URLSearchParams, response: ServerResponse): void {
    const initial = query.get("sendInitialEvents") === "true";
    if (initial && !this.#options.hasWatchList) {
      end(response, 422, { message: "Forbidden" });
      return;
    }
    response.writeHead(200).flushHeaders();
    const watcher = { collection, response };
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
    const from = Number(query.get("resourceVersion") ?? this.#version);
    for (const { collection: changed, ...event } of this.#events) {
      const isLater = Number(event.object.metadata.resourceVersion) > from;
      if (changed === collection && isLater) response.write(lineOf(event));
    }
    if (!initial) return;
    for (const object of this.#objectsOf(collection))
      response.write(lineOf({ type: "ADDED", object }));
    const annotations = { "k8s.io/initial-events-end": "true" };
    const metadata = { resourceVersion: `${this.#version}`, annotations };
    response.write(lineOf({ type: "BOOKMARK", object: { metadata } }));
  }

  #objectsOf(collection: string): Stored[] {
    return [...this.#objects].flatMap(([path, object]) =>
      path === `${collection}/${object.metadata.name}` ? object : [],
    );
  }
}

/** A strategic merge, as far as a node's writes need one. */
function patched(present: Stored, patch: Partial<Stored>): Stored {
  const annotations = { ...present.metadata.annotations, ...patch.metadata?.annotations };
  const given = Object.entries(annotations).filter(([, value]) => value !== null);
  const changed = patch.status?.conditions ?? [];
  const kept = (present.status?.conditions ?? []).filter(
    ({ type }) => !changed.some((condition) => condition.type === type),
  );
  return {
    ...present,
    metadata: { ...present.metadata, annotations: Object.fromEntries(given) },
    status: { ...present.status, conditions: [...kept, ...changed] },
  };
}

function placeOf(pathname: string): Place {
  const [, collection = pathname, rest = ""] = plurals.exec(pathname) ?? [];
  const [, name] = rest.split("/");
  return { collection, name: name === undefined || name === "" ? undefined : name };
}

function lineOf(event: unknown): string {
  return `${JSON.stringify(event)}\n`;
}

function end(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(body === undefined ? "404 page not found\n" : JSON.stringify(body));
}
