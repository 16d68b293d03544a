import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "../wait-for.ts";
import type {
  Daemon,
  DaemonConfig,
  DaemonNeighbor,
  DaemonRoute,
  LearnedPath,
  RunningDaemon,
} from "./daemon.ts";
import { DaemonBase, startDaemon } from "./daemon-base.ts";
import { outputOf } from "./daemon-process.ts";

const program = "/usr/bin/gobgpd";

/** GoBGP: a configuration for its neighbors, its own routes through its client. */
export const gobgp: Daemon = {
  name: "GoBGP",
  debianPackage: "gobgpd",
  program,
  installsRoutes: false,
  cannot: {
    // Its soft reset reads its own table again and asks nobody.
    "refresh-by-them": {
      url: "https://github.com/osrg/gobgp/blob/v3.10.0/docs/sources/policy.md#policy-and-soft-reset",
      words:
        "When you change an import policy and reset the inbound routing table (aka soft reset in), a withdraw for a route rejected by the latest import policies will be sent",
    },
    bfd: {
      url: "https://github.com/osrg/gobgp/issues/2563",
      words: "If someone sends a pull request for it, I would be happy to merge.",
    },
  },
  version: async () => (await outputOf(program, "--version")).replace("gobgpd version ", "").trim(),
  start: (namespace, config) => startDaemon(RunningGobgp, namespace, config),
};

class RunningGobgp extends DaemonBase implements RunningDaemon {
  async start(): Promise<void> {
    await this.#run(gobgpConfig(this.config), this.config.routes);
  }

  async state(neighbor: string): Promise<string> {
    const { state } = (await this.#show("neighbor", neighbor)) as GobgpNeighbor;
    return sessionStates[state.session_state ?? 0] ?? "unknown";
  }

  async learned(prefix: string): Promise<readonly LearnedPath[]> {
    const shown = await this.#show("global", "rib", prefix, "-a", familyWord(prefix));
    const paths = (shown as Record<string, readonly GobgpPath[]>)[prefix] ?? [];
    return paths.filter((path) => path["neighbor-ip"] !== undefined).map(learnedPath);
  }

  async announce(route: DaemonRoute): Promise<void> {
    const isExtended = this.config.neighbors.some(({ extendedNextHop }) => extendedNextHop);
    const nextHop = isExtended || route.prefix.includes(":") ? "fd99::2" : "10.99.0.2";
    await this.#ask("global", "rib", "add", ...routeWords(route), "nexthop", nextHop);
  }

  async withdraw(prefix: string): Promise<void> {
    await this.#ask("global", "rib", "del", prefix, "-a", familyWord(prefix));
  }

  async refresh(neighbor: string): Promise<void> {
    await this.#ask("neighbor", neighbor, "softresetin");
  }

  /** After "reset" it would be idle for 30 s. */
  async reset(neighbor: string): Promise<void> {
    await this.#ask("neighbor", neighbor, "disable");
    await this.#ask("neighbor", neighbor, "enable");
  }

  override async kill(): Promise<void> {
    await super.kill();
    await rm(this.#socket, { force: true });
  }

  /**
   * Its routes come from its client, which must be before its first session: it does not listen, and
   * connects after 5 s or more.
   */
  async revive(routes: readonly DaemonRoute[]): Promise<void> {
    const config = gobgpConfig(this.config);
    const global = { config: { ...config.global.config, port: -1 } };
    await this.#run({ ...config, global }, routes, "-r");
  }

  get #socket(): string {
    return join(this.folder, "api.sock");
  }

  async #run(
    config: object,
    routes: readonly DaemonRoute[],
    ...more: readonly string[]
  ): Promise<void> {
    const file = join(this.folder, "gobgpd.json");
    await writeFile(file, JSON.stringify(config));
    const words = [program, "-t", "json", "-f", file, "-p", "--pprof-disable", ...more];
    const command = [...words, `--api-hosts=unix://${this.#socket}`];
    this.run(command);
    await waitFor(() => this.#ask("global"), { timeoutMs: 20_000, what: "gobgpd's API" });
    for (const route of routes) await this.announce(route);
  }

  #ask(...words: readonly string[]): Promise<string> {
    return outputOf("gobgp", "--target", `unix://${this.#socket}`, ...words);
  }

  async #show(...words: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.#ask("-j", ...words));
  }
}

/** Numbers of its API. */
const sessionStates = [
  "unknown",
  "Idle",
  "Connect",
  "Active",
  "OpenSent",
  "OpenConfirm",
  "Established",
] as const;

const familyWord = (prefix: string) => (prefix.includes(":") ? "ipv6" : "ipv4");

function gobgpConfig({ asn, routerId, neighbors }: DaemonConfig) {
  return {
    global: { config: { as: asn, "router-id": routerId } },
    neighbors: neighbors.map(neighborConfig),
  };
}

function neighborConfig(neighbor: DaemonNeighbor) {
  const { address, asn, localAddress, passive, password, addPath, maxPrefixes } = neighbor;
  const restarts = neighbor.gracefulRestart === true;
  const enabled = (value: object = {}) => ({ config: { enabled: true, ...value } });
  const afiSafi = (family: 4 | 6) => ({
    config: { "afi-safi-name": `ipv${family}-unicast` },
    ...(restarts ? { "mp-graceful-restart": enabled() } : {}),
    ...(maxPrefixes === undefined
      ? {}
      : { "prefix-limit": { config: { "max-prefixes": maxPrefixes } } }),
    "add-paths": {
      config: {
        receive: addPath === "receive" || addPath === "both",
        "send-max": addPath === "send" || addPath === "both" ? 8 : 0,
      },
    },
  });
  return {
    config: {
      ...{ "neighbor-address": address, "peer-as": asn },
      ...(password === undefined ? {} : { "auth-password": password }),
    },
    transport: { config: { "local-address": localAddress, "passive-mode": passive } },
    // It takes at least 5 s.
    timers: { config: { "connect-retry": 5 } },
    ...(neighbor.ttlSecurity === true ? { "ttl-security": enabled({ "ttl-min": 255 }) } : {}),
    ...(neighbor.routeReflectorClient === true
      ? { "route-reflector": { config: { "route-reflector-client": true } } }
      : {}),
    ...(restarts ? { "graceful-restart": enabled({ "restart-time": 120 }) } : {}),
    "afi-safis": neighbor.families.map(afiSafi),
  };
}

function routeWords({ prefix, communities = [], med, localPref }: DaemonRoute): string[] {
  const large = communities.filter((text) => text.split(":").length === 3);
  const plain = communities.filter((text) => text.split(":").length === 2);
  return [
    ...[prefix, "-a", familyWord(prefix), "origin", "igp"],
    ...(plain.length === 0 ? [] : ["community", plain.join(",")]),
    ...(large.length === 0 ? [] : ["large-community", large.join(",")]),
    ...(med === undefined ? [] : ["med", String(med)]),
    ...(localPref === undefined ? [] : ["local-pref", String(localPref)]),
  ];
}

interface GobgpNeighbor {
  /** A number of 0 is left out. */
  readonly state: { readonly session_state?: number };
}

/** A path of `gobgp -j global rib`; an attribute has the type that it has on the wire. */
interface GobgpPath {
  readonly attrs: readonly {
    readonly type: number;
    readonly value?: unknown;
    readonly metric?: number;
    readonly nexthop?: string;
    readonly as_paths?: readonly { readonly asns: readonly number[] }[];
    readonly communities?: readonly number[];
  }[];
  readonly stale: boolean;
  readonly "neighbor-ip"?: string;
}

function learnedPath({ attrs, stale }: GobgpPath): LearnedPath {
  const of = (type: number) => attrs.find((attribute) => attribute.type === type);
  const large = (of(32)?.value ?? []) as readonly Record<
    "ASN" | "LocalData1" | "LocalData2",
    number
  >[];
  const [med, localPref] = [of(4)?.metric, of(5)?.value as number | undefined];
  const originatorId = of(9)?.value as string | undefined;
  const clusterList = of(10)?.value as readonly string[] | undefined;
  return {
    nextHop: of(3)?.nexthop ?? of(14)?.nexthop ?? "",
    asPath: (of(2)?.as_paths ?? []).flatMap(({ asns }) => asns),
    communities: [
      ...(of(8)?.communities ?? []).map((value) => `${value >>> 16}:${value & 0xffff}`),
      ...large.map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`),
    ],
    stale,
    ...(med === undefined ? {} : { med }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}
