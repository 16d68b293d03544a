import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
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
import { withoutRoute, withRoute } from "./daemon-base.ts";
import { DaemonProcess, outputOf } from "./daemon-process.ts";

const programs = "/usr/lib/frr";

type Program = "zebra" | "bfdd" | "bgpd";

/** FRR: zebra for the kernel, bgpd, and bfdd where a row wants BFD. It is told of changes by vtysh. */
export const frr: Daemon = {
  name: "FRR",
  debianPackage: "frr",
  program: `${programs}/bgpd`,
  installsRoutes: true,
  // Seen with 8.4 on a busy machine: zebra drops what is stale when bgpd has heard End-of-RIB, while bgpd
  // still waits to hear of the next hops of what it was told.
  restartLosesRoutes: true,
  cannot: {},
  version: async () =>
    /version (\S+)/.exec(await outputOf(`${programs}/bgpd`, "--version"))?.[1] ?? "unknown",
  start: async (namespace, config) => {
    const folder = await mkdtemp(join(tmpdir(), "tt-frr-"));
    // The daemons give up root for this user.
    await outputOf("chown", "frr:frr", folder);
    const running = new RunningFrr(namespace, folder, config);
    await running.start();
    return running;
  },
};

class RunningFrr implements RunningDaemon {
  readonly #namespace: string;
  readonly #folder: string;
  #config: DaemonConfig;
  readonly #processes = new Map<Program, DaemonProcess>();

  constructor(namespace: string, folder: string, config: DaemonConfig) {
    this.#namespace = namespace;
    this.#folder = folder;
    this.#config = config;
  }

  async start(): Promise<void> {
    await this.#run("zebra", "");
    if (hasBfd(this.#config)) await this.#run("bfdd", bfdConfig);
    await this.#run("bgpd", frrConfig(this.#config));
  }

  async state(neighbor: string): Promise<string> {
    const shown = await this.#show(`show bgp neighbors ${neighbor} json`);
    return (shown as Record<string, { bgpState?: string }>)[neighbor]?.bgpState ?? "unknown";
  }

  async learned(prefix: string): Promise<readonly LearnedPath[]> {
    const shown = await this.#show(`show bgp ${familyWord(prefix)} unicast ${prefix} json`);
    const { paths = [] } = shown as { paths?: readonly FrrPath[] };
    return paths.filter(({ peer }) => !/^(0\.0\.0\.0|::)$/.test(peer.peerId)).map(learnedPath);
  }

  async announce(route: DaemonRoute): Promise<void> {
    this.#config = withRoute(this.#config, route);
    await this.#configure(routeLines(this.#config.asn, route));
  }

  async withdraw(gone: string): Promise<void> {
    this.#config = withoutRoute(this.#config, gone);
    const family = `address-family ${familyWord(gone)} unicast`;
    await this.#configure([`router bgp ${this.#config.asn}`, family, `no network ${gone}`]);
  }

  async refresh(neighbor: string): Promise<void> {
    const { families = [] } =
      this.#config.neighbors.find(({ address }) => address === neighbor) ?? {};
    for (const family of families) {
      await this.#ask(`clear bgp ipv${family} unicast ${neighbor} soft in`);
    }
  }

  async reset(neighbor: string): Promise<void> {
    await this.#ask(`clear bgp ${neighbor}`);
  }

  async bfdUp(neighbor: string): Promise<boolean> {
    const peers = (await this.#show("show bfd peers json")) as readonly FrrBfdPeer[];
    return peers.some(({ peer, status }) => peer === neighbor && status === "up");
  }

  pause(): void {
    for (const process of this.#processes.values()) process.signal("SIGSTOP");
  }

  /** As bgpd does when it crashes: zebra keeps the kernel's routes. */
  async kill(): Promise<void> {
    await this.#processes.get("bgpd")?.end();
    await rm(join(this.#folder, "bgpd.vty"), { force: true });
  }

  revive(routes: readonly DaemonRoute[]): Promise<void> {
    this.#config = { ...this.#config, routes };
    return this.#run("bgpd", frrConfig(this.#config));
  }

  async stop(): Promise<void> {
    for (const process of this.#processes.values()) await process.end();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #run(name: Program, config: string): Promise<void> {
    const file = (extension: string) => join(this.#folder, `${name}.${extension}`);
    await writeFile(file("conf"), config);
    const words = [
      `${programs}/${name}`,
      ...["-A", "127.0.0.1", "-P", "0"],
      ...["-f", file("conf"), "-i", file("pid")],
      ...["-z", join(this.#folder, "zserv.api"), "--vty_socket", this.#folder],
      ...(name === "bfdd" ? ["--bfdctl", file("ctl")] : []),
      ...(name === "bgpd" ? ["-p", "179"] : []),
    ];
    this.#processes.set(name, new DaemonProcess(this.#namespace, words));
    await waitFor(() => existsSync(file("vty")), { timeoutMs: 20_000, what: `${name}'s socket` });
  }

  #ask(command: string, ...more: readonly string[]): Promise<string> {
    const commands = [command, ...more].flatMap((line) => ["-c", line]);
    return outputOf("vtysh", "--vty_socket", this.#folder, ...commands);
  }

  async #show(command: string): Promise<unknown> {
    return JSON.parse((await this.#ask(command)) || "{}");
  }

  async #configure(lines: readonly string[]): Promise<void> {
    await this.#ask("configure terminal", ...lines);
  }
}

const bfdConfig = `
bfd
 profile fast
  detect-multiplier 3
  receive-interval 300
  transmit-interval 300
`;

const hasBfd = ({ neighbors }: DaemonConfig) => neighbors.some(({ bfd }) => bfd === true);
const familyWord = (prefix: string) => (prefix.includes(":") ? "ipv6" : "ipv4");

function frrConfig({ asn, routerId, neighbors, routes }: DaemonConfig): string {
  const restarts = neighbors.some(({ gracefulRestart }) => gracefulRestart === true);
  return [
    `router bgp ${asn}`,
    ` bgp router-id ${routerId}`,
    " no bgp ebgp-requires-policy",
    " no bgp default ipv4-unicast",
    " no bgp network import-check",
    ...(restarts ? [" bgp graceful-restart", " bgp graceful-restart preserve-fw-state"] : []),
    ...(neighbors.some(({ longLived }) => longLived === true)
      ? [" bgp long-lived-graceful-restart stale-time 3600"]
      : []),
    ...neighbors.flatMap(neighborLines),
    "exit",
    ...routes.flatMap((route) => routeLines(asn, route)),
    "",
  ].join("\n");
}

function neighborLines(neighbor: DaemonNeighbor): readonly string[] {
  const { address, asn, localAddress, passive, password, ttlSecurity } = neighbor;
  const { bfd, extendedNextHop, gracefulRestart } = neighbor;
  const settings = [
    `remote-as ${asn}`,
    `update-source ${localAddress}`,
    "timers 30 90",
    "timers connect 1",
    ...(passive ? ["passive"] : []),
    ...(password === undefined ? [] : [`password ${password}`]),
    ...(ttlSecurity === true ? ["ttl-security hops 1"] : []),
    ...(bfd === true ? ["bfd", "bfd profile fast"] : []),
    ...(extendedNextHop === true ? ["capability extended-nexthop"] : []),
    ...(gracefulRestart === true ? [] : ["graceful-restart-disable"]),
  ];
  return [
    ...settings.map((setting) => ` neighbor ${address} ${setting}`),
    ...([4, 6] as const).flatMap((family) => [
      ` address-family ipv${family} unicast`,
      ...(neighbor.families.includes(family) ? activation(neighbor) : []),
      " exit-address-family",
    ]),
  ];
}

function activation(neighbor: DaemonNeighbor): readonly string[] {
  const { address, addPath, maxPrefixes, routeReflectorClient } = neighbor;
  const settings = [
    "activate",
    ...(routeReflectorClient === true ? ["route-reflector-client"] : []),
    ...(addPath === "send" || addPath === "both" ? ["addpath-tx-all-paths"] : []),
    ...(addPath === "receive" || addPath === "both" ? [] : ["disable-addpath-rx"]),
    ...(maxPrefixes === undefined ? [] : [`maximum-prefix ${maxPrefixes}`]),
  ];
  return settings.map((setting) => `  neighbor ${address} ${setting}`);
}

/** A route of its own; its attributes are set by a route map of its own. */
function routeLines(asn: number, route: DaemonRoute): readonly string[] {
  const { prefix, communities = [], med, localPref } = route;
  const large = communities.filter((text) => text.split(":").length === 3);
  const plain = communities.filter((text) => text.split(":").length === 2);
  const settings = [
    ...(plain.length === 0 ? [] : [` set community ${plain.join(" ")}`]),
    ...(large.length === 0 ? [] : [` set large-community ${large.join(" ")}`]),
    ...(med === undefined ? [] : [` set metric ${med}`]),
    ...(localPref === undefined ? [] : [` set local-preference ${localPref}`]),
  ];
  const map = `of-${prefix.replaceAll(/[^0-9a-f]/g, "-")}`;
  return [
    `route-map ${map} permit 1`,
    ...settings,
    "exit",
    `router bgp ${asn}`,
    ` address-family ${familyWord(prefix)} unicast`,
    `  network ${prefix} route-map ${map}`,
    " exit-address-family",
    "exit",
  ];
}

interface FrrBfdPeer {
  readonly peer: string;
  readonly status: string;
}

/** A path of `show bgp ... json`. */
interface FrrPath {
  readonly aspath: { readonly segments: readonly { readonly list: readonly number[] }[] };
  readonly metric?: number;
  readonly locPrf?: number;
  readonly stale?: boolean;
  readonly community?: { readonly list: readonly string[] };
  readonly largeCommunity?: { readonly list: readonly string[] };
  readonly originatorId?: string;
  readonly clusterList?: { readonly list: readonly string[] };
  readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[];
  readonly peer: { readonly peerId: string };
}

function learnedPath(path: FrrPath): LearnedPath {
  const { aspath, metric, locPrf, community, largeCommunity, originatorId, clusterList } = path;
  return {
    nextHop: path.nexthops.find(({ scope }) => scope !== "link-local")?.ip ?? "",
    asPath: aspath.segments.flatMap(({ list }) => list),
    communities: [...(community?.list ?? []), ...(largeCommunity?.list ?? [])],
    stale: path.stale === true,
    ...(metric === undefined ? {} : { med: metric }),
    ...(locPrf === undefined ? {} : { localPref: locPrf }),
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList: clusterList.list }),
  };
}
