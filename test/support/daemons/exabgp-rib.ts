import type { LearnedPath } from "./daemon.ts";

/** What ExaBGP's API tells, version 4, as far as it is read here. */
export interface ExabgpLine {
  readonly type: string;
  readonly neighbor?: {
    readonly address: { readonly peer: string };
    readonly state?: string;
    readonly message?: { readonly update?: ExabgpUpdate };
  };
}

interface ExabgpUpdate {
  readonly attribute?: ExabgpAttributes;
  /** By family, then by next hop. */
  readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly ExabgpNlri[]>>>>;
  readonly withdraw?: Readonly<Record<string, readonly ExabgpNlri[]>>;
}

interface ExabgpAttributes {
  readonly "as-path"?: readonly number[];
  readonly med?: number;
  readonly "local-preference"?: number;
  readonly community?: readonly (readonly number[])[];
  readonly "large-community"?: readonly (readonly number[])[];
  readonly "originator-id"?: string;
  readonly "cluster-list"?: readonly string[];
}

interface ExabgpNlri {
  readonly nlri: string;
  readonly "path-information"?: string;
}

export interface HeardPath {
  /** The neighbor that told it. */
  readonly from: string;
  readonly prefix: string;
  readonly path: LearnedPath;
}

/** The routes of each neighbor, as ExaBGP's API has told them: it keeps none itself. */
export class ExabgpRib {
  readonly #states = new Map<string, string>();
  readonly #paths = new Map<string, Map<string, HeardPath>>();

  /** Gives what is announced. */
  hear({ type, neighbor }: ExabgpLine): readonly HeardPath[] {
    if (neighbor === undefined) return [];
    const { peer } = neighbor.address;
    if (type === "state") {
      this.#states.set(peer, neighbor.state === "up" ? "Established" : (neighbor.state ?? ""));
      this.#paths.set(peer, new Map());
    }
    const update = neighbor.message?.update;
    return update === undefined ? [] : this.#update(peer, update);
  }

  state(neighbor: string): string {
    return this.#states.get(neighbor) ?? "unknown";
  }

  paths(prefix: string): readonly LearnedPath[] {
    return [...this.#paths.values()]
      .flatMap((paths) => [...paths.values()])
      .filter((heard) => heard.prefix === prefix)
      .map(({ path }) => path);
  }

  clear(): void {
    this.#states.clear();
    this.#paths.clear();
  }

  #update(
    from: string,
    { attribute = {}, announce = {}, withdraw = {} }: ExabgpUpdate,
  ): readonly HeardPath[] {
    const paths = this.#paths.get(from) ?? new Map<string, HeardPath>();
    this.#paths.set(from, paths);
    for (const nlri of Object.values(withdraw).flat()) paths.delete(keyOf(nlri));
    const byNextHop = Object.values(announce).flatMap((by) => Object.entries(by));
    return byNextHop.flatMap(([nextHop, list]) =>
      list.map((nlri) => {
        const heard = { from, prefix: nlri.nlri, path: learnedPath(attribute, nextHop) };
        paths.set(keyOf(nlri), heard);
        return heard;
      }),
    );
  }
}

function keyOf({ nlri, "path-information": id = "" }: ExabgpNlri): string {
  return `${nlri} ${id}`;
}

function learnedPath(attributes: ExabgpAttributes, nextHop: string): LearnedPath {
  const { med, "local-preference": localPref } = attributes;
  const { "originator-id": originatorId, "cluster-list": clusterList } = attributes;
  const lists = [...(attributes.community ?? []), ...(attributes["large-community"] ?? [])];
  return {
    nextHop,
    asPath: attributes["as-path"] ?? [],
    communities: lists.map((parts) => parts.join(":")),
    stale: false,
    ...(med === undefined ? {} : { med }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}
