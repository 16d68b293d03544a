import { writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
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
import { DaemonBase, startDaemon } from "./daemon-base.ts";
import { outputOf } from "./daemon-process.ts";
import { type ExabgpLine, ExabgpRib, type HeardPath } from "./exabgp-rib.ts";

const program = "/usr/sbin/exabgp";
const bridge = fileURLToPath(new URL("exabgp-bridge.ts", import.meta.url));

/** ExaBGP. It keeps no routes: its API, a process of ours that it runs, tells them, and takes commands. */
export const exabgp: Daemon = {
  name: "ExaBGP",
  debianPackage: "exabgp",
  program,
  installsRoutes: false,
  cannot: {
    "client-of-them": {
      url: "https://github.com/Exa-Networks/exabgp/issues/1033",
      words: "You can indeed write a API to do it. Nothing built-in.",
    },
    "we-restart": {
      url: "https://github.com/Exa-Networks/exabgp/wiki/Architecture",
      words: "Does NOT maintain RIB (Routing Information Base)",
    },
    "max-prefix-theirs": {
      url: "https://github.com/Exa-Networks/exabgp/issues/323",
      words: "we only count the number of updates received per peer not routes",
    },
    bfd: {
      url: "https://github.com/Exa-Networks/exabgp/issues/1037",
      words: "TLDR; no. Longer version, no, and not likely to ever be added.",
    },
  },
  version: async () =>
    /ExaBGP : (\S+)/.exec(await outputOf(program, "--version"))?.[1] ?? "unknown",
  start: (namespace, config) => startDaemon(RunningExabgp, namespace, config),
};

class RunningExabgp extends DaemonBase implements RunningDaemon {
  readonly #server: Server;
  readonly #rib = new ExabgpRib();
  #api: Socket | undefined;

  constructor(namespace: string, folder: string, config: DaemonConfig) {
    super(namespace, folder, config);
    this.#server = createServer((socket) => this.#attach(socket));
  }

  async start(routes: readonly DaemonRoute[] = this.config.routes): Promise<void> {
    if (!this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.listen(this.#socket, resolve));
    }
    const file = join(this.folder, "exabgp.conf");
    await writeFile(file, exabgpConfig({ ...this.config, routes }, this.#socket));
    const [{ localAddress = "" } = {}] = this.config.neighbors;
    const settings = {
      "exabgp.daemon.user": "root",
      "exabgp.daemon.drop": "false",
      "exabgp.tcp.bind": localAddress,
      "exabgp.api.cli": "false",
    };
    this.run([program, file], settings);
    await waitFor(() => this.#api, { timeoutMs: 20_000, what: "ExaBGP's API" });
  }

  async state(neighbor: string): Promise<string> {
    return this.#rib.state(neighbor);
  }

  async learned(prefix: string): Promise<readonly LearnedPath[]> {
    return this.#rib.paths(prefix);
  }

  async announce(route: DaemonRoute): Promise<void> {
    for (const neighbor of this.config.neighbors) {
      this.#tell(`neighbor ${neighbor.address} announce ${routeText(route, neighbor)}`);
    }
  }

  async withdraw(prefix: string): Promise<void> {
    for (const neighbor of this.config.neighbors) {
      this.#tell(`neighbor ${neighbor.address} withdraw ${routeText({ prefix }, neighbor)}`);
    }
  }

  async refresh(neighbor: string): Promise<void> {
    this.#tell(`neighbor ${neighbor} announce route-refresh ipv4 unicast`);
  }

  async reset(neighbor: string): Promise<void> {
    this.#tell(`neighbor ${neighbor} teardown 4`);
  }

  override async kill(): Promise<void> {
    await super.kill();
    this.#api?.destroy();
    this.#api = undefined;
    this.#rib.clear();
  }

  revive(routes: readonly DaemonRoute[]): Promise<void> {
    return this.start(routes);
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.#server.close();
  }

  get #socket(): string {
    return join(this.folder, "api.sock");
  }

  #attach(socket: Socket): void {
    this.#api = socket;
    socket.on("error", () => socket.destroy());
    createInterface({ input: socket }).on("line", (text) => {
      // Answers to commands are no JSON: "done".
      if (!text.startsWith("{")) return;
      // What it quotes from a message is not escaped.
      const line = JSON.parse(text.replaceAll(/\p{Cc}/gu, "?")) as ExabgpLine;
      for (const heard of this.#rib.hear(line)) this.#passOn(heard);
    });
  }

  /** It has no routes to choose from: with ADD-PATH we tell it to send each one on. */
  #passOn({ from, prefix, path }: HeardPath): void {
    const { asn, neighbors } = this.config;
    for (const neighbor of neighbors) {
      if (neighbor.address === from || !sendsPaths(neighbor)) continue;
      const route = `route ${prefix} next-hop 10.99.0.2 path-information 0.0.0.2`;
      const asPath = `as-path [ ${[asn, ...path.asPath].join(" ")} ]`;
      this.#tell(`neighbor ${neighbor.address} announce ${route} ${asPath}`);
    }
  }

  #tell(command: string): void {
    this.#api?.write(`${command}\n`);
  }
}

function exabgpConfig({ asn, routerId, neighbors, routes }: DaemonConfig, socket: string): string {
  return `
process bridge {
  run ${process.execPath} ${bridge} ${socket};
  encoder json;
}
${neighbors.map((neighbor) => neighborBlock(neighbor, { asn, routerId, routes })).join("\n")}
`;
}

function neighborBlock(
  neighbor: DaemonNeighbor,
  { asn, routerId, routes }: Omit<DaemonConfig, "neighbors">,
): string {
  const { address, localAddress, families, passive, password, addPath } = neighbor;
  const words = { receive: "receive", send: "send", both: "send/receive" };
  // A next hop of a family that is not there is not allowed.
  const announced = neighbor.extendedNextHop === true ? ([4, 6] as const) : families;
  const familyLines = announced.map((family) => `ipv${family} unicast;`).join(" ");
  return `neighbor ${address} {
  router-id ${routerId};
  local-address ${localAddress};
  local-as ${asn};
  peer-as ${neighbor.asn};
  hold-time 90;
  adj-rib-out true;
  ${passive ? "passive true;" : "passive false;"}
  ${password === undefined ? "" : `md5-password ${password};`}
  ${neighbor.ttlSecurity === true ? "outgoing-ttl 255; incoming-ttl 255;" : ""}
  family { ${familyLines} }
  capability {
    route-refresh enable;
    graceful-restart ${neighbor.gracefulRestart === true ? "120" : "disable"};
    ${addPath === undefined ? "" : `add-path ${words[addPath]};`}
    nexthop ${neighbor.extendedNextHop === true ? "true" : "false"};
  }
  ${addPath === undefined ? "" : `add-path { ${familyLines} }`}
  ${neighbor.extendedNextHop === true ? "nexthop { ipv4 unicast ipv6; }" : ""}
  static { ${routes.map((route) => `${routeText(route, neighbor)};`).join(" ")} }
  api { processes [ bridge ]; neighbor-changes; receive { parsed; update; } }
}`;
}

const sendsPaths = ({ addPath }: DaemonNeighbor) => addPath === "send" || addPath === "both";

function routeText(route: DaemonRoute, neighbor: DaemonNeighbor): string {
  const { extendedNextHop } = neighbor;
  const { prefix, communities = [], med, localPref } = route;
  const family: IpFamily = prefix.includes(":") || extendedNextHop === true ? 6 : 4;
  const large = communities.filter((text) => text.split(":").length === 3);
  const plain = communities.filter((text) => text.split(":").length === 2);
  return [
    `route ${prefix} next-hop ${family === 6 ? "fd99::2" : "10.99.0.2"}`,
    ...(sendsPaths(neighbor) ? ["path-information 0.0.0.1"] : []),
    ...(plain.length === 0 ? [] : [`community [ ${plain.join(" ")} ]`]),
    ...(large.length === 0 ? [] : [`large-community [ ${large.join(" ")} ]`]),
    ...(med === undefined ? [] : [`med ${med}`]),
    ...(localPref === undefined ? [] : [`local-preference ${localPref}`]),
  ].join(" ");
}
