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

const program = "/usr/sbin/bird";

/** BIRD 2. It is told of changes by a new configuration. */
export const bird: Daemon = {
  name: "BIRD",
  debianPackage: "bird2",
  program,
  installsRoutes: true,
  cannot: {},
  // To stderr: "BIRD version 2.0.12".
  version: async () =>
    (await outputOf("sh", "-c", `${program} --version 2>&1`)).replace(/^.* version /, "").trim(),
  start: (namespace, config) => startDaemon(RunningBird, namespace, config),
};

class RunningBird extends DaemonBase implements RunningDaemon {
  async start(...more: readonly string[]): Promise<void> {
    const file = join(this.folder, "bird.conf");
    await writeFile(file, birdConfig(this.config));
    await outputOf(program, "-p", "-c", file);
    const words = [program, "-f", "-c", file, "-s", this.#socket, ...more];
    this.run(words);
    await waitFor(() => this.#ask("show status"), { what: "BIRD's control socket" });
  }

  async state(neighbor: string): Promise<string> {
    const text = await this.#ask(`show protocols all ${this.#protocol(neighbor)}`);
    return /BGP state:\s+(\S+)/.exec(text)?.[1] ?? text;
  }

  async learned(prefix: string): Promise<readonly LearnedPath[]> {
    return parsePaths(await this.#ask(`show route all where net = ${prefix}`));
  }

  async announce(route: DaemonRoute): Promise<void> {
    await this.#change(withRoute(this.config, route));
  }

  async withdraw(gone: string): Promise<void> {
    await this.#change(withoutRoute(this.config, gone));
  }

  async refresh(neighbor: string): Promise<void> {
    await this.#ask(`reload in ${this.#protocol(neighbor)}`);
  }

  async reset(neighbor: string): Promise<void> {
    await this.#ask(`restart ${this.#protocol(neighbor)}`);
  }

  async bfdUp(neighbor: string): Promise<boolean> {
    const sessions = await this.#ask("show bfd sessions");
    return sessions
      .split("\n")
      .some((line) => line.startsWith(`${neighbor} `) && /\sUp\s/.test(line));
  }

  revive(routes: readonly DaemonRoute[]): Promise<void> {
    this.config = { ...this.config, routes };
    return this.start("-R");
  }

  get #socket(): string {
    return join(this.folder, "bird.ctl");
  }

  #ask(command: string): Promise<string> {
    return outputOf("birdc", "-s", this.#socket, ...command.split(" "));
  }

  #protocol(neighbor: string): string {
    return `n${this.config.neighbors.findIndex(({ address }) => address === neighbor)}`;
  }

  async #change(config: DaemonConfig): Promise<void> {
    this.config = config;
    await writeFile(join(this.folder, "bird.conf"), birdConfig(this.config));
    await this.#ask("configure");
  }
}

function birdConfig({ asn, routerId, neighbors, routes }: DaemonConfig): string {
  const hasBfd = neighbors.some(({ bfd }) => bfd === true);
  return `
router id ${routerId};
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; }
${hasBfd ? 'protocol bfd { interface "*" { interval 300 ms; multiplier 3; }; }' : ""}
${([4, 6] as const).map((family) => ownRoutes(family, routes)).join("")}
${neighbors.map((neighbor, index) => bgpProtocol(`n${index}`, asn, neighbor)).join("")}`;
}

/** Its own routes, and what it puts into the kernel: what it has learned. */
function ownRoutes(family: IpFamily, routes: readonly DaemonRoute[]): string {
  const own = routes.filter(({ prefix }) => prefix.includes(":") === (family === 6));
  return `
protocol kernel { persist; graceful restart; ipv${family} { import none; export where source = RTS_BGP; }; }
protocol static { ipv${family}; ${own.map(staticRoute).join(" ")} }`;
}

function staticRoute({ prefix, communities = [], med, localPref }: DaemonRoute): string {
  const settings = communities.map((text) => {
    const parts = text.split(":");
    return `${parts.length === 3 ? "bgp_large_community" : "bgp_community"}.add((${parts.join()}));`;
  });
  if (med !== undefined) settings.push(`bgp_med = ${med};`);
  if (localPref !== undefined) settings.push(`bgp_local_pref = ${localPref};`);
  return `route ${prefix} blackhole${settings.length === 0 ? "" : ` { ${settings.join(" ")} }`};`;
}

function bgpProtocol(name: string, asn: number, neighbor: DaemonNeighbor): string {
  const lines = [
    `local ${neighbor.localAddress} as ${asn};`,
    `neighbor ${neighbor.address} as ${neighbor.asn};`,
    "direct;",
    "connect delay time 0; connect retry time 1; error wait time 1, 2;",
    ...(neighbor.passive ? ["passive;"] : []),
    ...(neighbor.password === undefined ? [] : [`password "${neighbor.password}";`]),
    ...(neighbor.ttlSecurity === true ? ["ttl security on;"] : []),
    ...(neighbor.routeReflectorClient === true ? ["rr client;"] : []),
    ...(neighbor.bfd === true ? ["bfd on;"] : []),
    ...(neighbor.longLived === true
      ? ["long lived graceful restart on; long lived stale time 3600;"]
      : []),
    `graceful restart ${neighbor.gracefulRestart === true ? "on" : "off"};`,
    ...neighbor.families.map((family) => channel(family, neighbor)),
  ];
  return `\nprotocol bgp ${name} {\n  ${lines.join("\n  ")}\n}`;
}

function channel(family: IpFamily, neighbor: DaemonNeighbor): string {
  const { addPath, maxPrefixes, extendedNextHop } = neighbor;
  const words = { receive: "rx", send: "tx", both: "on" };
  return [
    `ipv${family} {`,
    "import all; export where source ~ [RTS_STATIC, RTS_BGP];",
    // BIRD would give the address of the session, of whichever family.
    ...(extendedNextHop === true ? ["extended next hop;"] : []),
    ...(extendedNextHop === true || neighbor.address.includes(":") === (family === 6)
      ? []
      : [`next hop address ${family === 4 ? "10.99.0.2" : "fd99::2"};`]),
    ...(addPath === undefined ? [] : [`add paths ${words[addPath]};`]),
    ...(maxPrefixes === undefined ? [] : [`import limit ${maxPrefixes} action disable;`]),
    "};",
  ].join(" ");
}

/** Paths of `show route PREFIX all`: each begins with its type and its protocol. */
function parsePaths(text: string): readonly LearnedPath[] {
  return text
    .split(/\n(?=\S*\s+(?:unicast|blackhole|unreachable) \[)/)
    .filter((path) => /^\tType: BGP/m.test(path))
    .map((path) => {
      const value = (name: string) => new RegExp(`^\\tBGP\\.${name}: ?(.*)$`, "m").exec(path)?.[1];
      const number = (name: string) => {
        const found = value(name);
        return found === undefined ? undefined : Number(found);
      };
      const tuples = (name: string) =>
        [...(value(name) ?? "").matchAll(/\(([^)]*)\)/g)].map(([, tuple = ""]) =>
          tuple.split(/,\s*/).join(":"),
        );
      const clusterList = value("cluster_list");
      const originatorId = value("originator_id");
      const [localPref, med] = [number("local_pref"), number("med")];
      return {
        // With a link-local next hop as second word.
        nextHop: (value("next_hop") ?? "").split(" ")[0] ?? "",
        asPath: (value("as_path") ?? "").split(" ").filter(Boolean).map(Number),
        communities: [...tuples("community"), ...tuples("large_community")],
        stale: /\] (?:\* )?\(\d+[^)/]*s/.test(path),
        ...(localPref === undefined ? {} : { localPref }),
        ...(med === undefined ? {} : { med }),
        ...(originatorId === undefined ? {} : { originatorId }),
        ...(clusterList === undefined ? {} : { clusterList: clusterList.split(" ") }),
      };
    });
}
