import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import { waitFor } from "../wait-for.ts";
import type {
  Daemon,
  DaemonConfig,
  DaemonNeighbor,
  DaemonRoute,
  LearnedPath,
  RunningDaemon,
} from "./daemon.ts";
import { DaemonBase, startDaemon, withoutRoute, withRoute } from "./daemon-base.ts";
import { outputOf } from "./daemon-process.ts";

const program = "/usr/sbin/bgpd";
const manual = "https://manpages.debian.org/bookworm/openbgpd";

/** OpenBGPD. It is told of changes by a new configuration. */
export const openbgpd: Daemon = {
  name: "OpenBGPD",
  debianPackage: "openbgpd",
  program,
  installsRoutes: false,
  cannot: {
    "extended-next-hop": {
      url: "https://github.com/openbgpd-portable/openbgpd-portable/issues/100",
      words: "There is initial support for RFC8950 in the last release. [Written in March 2025]",
    },
    "they-restart": {
      url: `${manual}/bgpd.conf.5.en.html`,
      words:
        "Currently only the End-of-RIB marker is supported and announced by the restart capability.",
    },
    // Fixed in January 2023: 7.7 is of November 2022. "announce enhanced refresh yes" does not help.
    "refresh-by-us": {
      url: "https://github.com/openbgpd-portable/openbgpd-portable/issues/46",
      words: "route refresh messages are discarded unexpectedly by OpenBGPD",
    },
    // OpenBSD's kernel speaks it, bgpd does not.
    bfd: {
      url: "https://www.openbsd.org/papers/asiabsdcon2017-bfd-paper.pdf",
      words: "BFD is a protocol that exists outside of existing routing protocols",
    },
  },
  // To stderr: "OpenBGPD 7.7".
  version: async () =>
    (await outputOf("sh", "-c", `${program} -V 2>&1`)).replace("OpenBGPD", "").trim(),
  start: (namespace, config) => startDaemon(RunningOpenbgpd, namespace, config),
};

class RunningOpenbgpd extends DaemonBase implements RunningDaemon {
  async start(): Promise<void> {
    await this.#writeConfig();
    this.run([program, "-d", "-f", this.#file]);
    await waitFor(() => this.#ask("show"), { timeoutMs: 20_000, what: "bgpd's control socket" });
  }

  async state(neighbor: string): Promise<string> {
    const shown = (await this.#show("show", "neighbor", neighbor)) as {
      readonly neighbors?: readonly { readonly state: string }[];
    };
    return shown.neighbors?.[0]?.state ?? "unknown";
  }

  async learned(prefix: string): Promise<readonly LearnedPath[]> {
    const shown = (await this.#show("show", "rib", "detail", prefix)) as {
      readonly rib?: readonly OpenbgpdPath[];
    };
    return (shown.rib ?? [])
      .filter(({ neighbor }) => neighbor.description !== "LOCAL")
      .map(learnedPath);
  }

  async announce(route: DaemonRoute): Promise<void> {
    await this.#change(withRoute(this.config, route));
  }

  async withdraw(gone: string): Promise<void> {
    await this.#change(withoutRoute(this.config, gone));
  }

  async refresh(neighbor: string): Promise<void> {
    await this.#ask("neighbor", neighbor, "refresh");
  }

  async reset(neighbor: string): Promise<void> {
    await this.#ask("neighbor", neighbor, "clear");
  }

  revive(routes: readonly DaemonRoute[]): Promise<void> {
    this.config = { ...this.config, routes };
    return this.start();
  }

  /** Its three children end with it. */
  override async stop(): Promise<void> {
    await this.end("SIGTERM");
    await this.removeFolder();
  }

  get #file(): string {
    return join(this.folder, "bgpd.conf");
  }

  get #socket(): string {
    return join(this.folder, "bgpd.sock");
  }

  #ask(...words: readonly string[]): Promise<string> {
    return outputOf("bgpctl", "-s", this.#socket, ...words);
  }

  async #show(...words: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.#ask("-j", ...words));
  }

  async #change(config: DaemonConfig): Promise<void> {
    this.config = config;
    await this.#writeConfig();
    await this.#ask("reload");
  }

  /** It takes no file that others can read. */
  async #writeConfig(): Promise<void> {
    await writeFile(this.#file, openbgpdConfig(this.config, this.#socket), { mode: 0o600 });
  }
}

function openbgpdConfig(config: DaemonConfig, socket: string): string {
  const { asn, routerId, neighbors, routes } = config;
  return `
AS ${asn}
router-id ${routerId}
socket "${socket}"
fib-update no
connect-retry 1
${routes.map(networkLine).join("\n")}
${neighbors.map(neighborBlock).join("\n")}
allow from any
allow to any
${routes.map(({ prefix }) => `match to any prefix ${prefix} set nexthop no-modify`).join("\n")}
`;
}

function networkLine({ prefix, communities = [], med, localPref }: DaemonRoute): string {
  const settings = [
    `nexthop ${prefix.includes(":") ? "fd99::2" : "10.99.0.2"}`,
    ...communities.map((text) =>
      text.split(":").length === 3 ? `large-community ${text}` : `community ${text}`,
    ),
    ...(med === undefined ? [] : [`med ${med}`]),
    ...(localPref === undefined ? [] : [`localpref ${localPref}`]),
  ];
  return `network ${prefix} set { ${settings.join(" ")} }`;
}

function neighborBlock(neighbor: DaemonNeighbor): string {
  const { address, asn, families, passive, password, addPath } = neighbor;
  const announce = (family: IpFamily) =>
    `announce IPv${family} ${families.includes(family) ? "unicast" : "none"}`;
  const isMixed = families.some((family) => address.includes(":") !== (family === 6));
  const lines = [
    `remote-as ${asn}`,
    // To a direct neighbor it would tell the address of lo as next hop of the other family.
    ...(isMixed ? ["multihop 2"] : []),
    ...([4, 6] as const).map(announce),
    `announce restart ${neighbor.gracefulRestart === true ? "yes" : "no"}`,
    ...(passive ? ["passive"] : []),
    ...(password === undefined ? [] : [`tcp md5sig password ${password}`]),
    ...(neighbor.ttlSecurity === true ? ["ttl-security yes"] : []),
    ...(neighbor.routeReflectorClient === true ? ["route-reflector"] : []),
    ...(neighbor.maxPrefixes === undefined ? [] : [`max-prefix ${neighbor.maxPrefixes}`]),
    ...(addPath === "receive" || addPath === "both" ? ["announce add-path recv yes"] : []),
    ...(addPath === "send" || addPath === "both" ? ["announce add-path send all"] : []),
  ];
  return `neighbor ${address} {\n  ${lines.join("\n  ")}\n}`;
}

/** A path of `bgpctl -j show rib detail`. */
interface OpenbgpdPath {
  readonly aspath: string;
  readonly exit_nexthop: string;
  readonly neighbor: { readonly description?: string };
  readonly stale?: boolean;
  readonly metric: number;
  readonly localpref: number;
  readonly communities?: readonly string[];
  readonly large_communities?: readonly string[];
  readonly attributes?: readonly {
    readonly originator?: string;
    readonly cluster_list?: readonly string[];
  }[];
}

function learnedPath(path: OpenbgpdPath): LearnedPath {
  const { communities = [], large_communities: large = [], attributes = [] } = path;
  const originatorId = attributes.find(({ originator }) => originator !== undefined)?.originator;
  const clusterList = attributes.find((each) => each.cluster_list !== undefined)?.cluster_list;
  return {
    nextHop: path.exit_nexthop,
    asPath: path.aspath.split(" ").filter(Boolean).map(Number),
    localPref: path.localpref,
    med: path.metric,
    communities: [...communities.map((text) => text.replace("_", "-")), ...large],
    stale: path.stale === true,
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}
