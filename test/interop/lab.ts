import type { RouteRow } from "../../src/bgp/control/rib-rows.ts";
import type { IpFamily } from "../../src/lib/ip-addr.ts";
import { makeNamespacePair, type NamespacePair } from "../support/bird.ts";
import type {
  Daemon,
  DaemonConfig,
  DaemonNeighbor,
  DaemonRoute,
  LearnedPath,
  RunningDaemon,
} from "../support/daemons/daemon.ts";
import { outputOf } from "../support/daemons/daemon-process.ts";
import { Background } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { type SpeakerYaml, TestSpeaker } from "./speaker.ts";

/** We are .1 of both families, the daemon is .2, and a second speaker of ours beside us is .3. */
export const addresses = {
  us: { 4: "10.99.0.1", 6: "fd99::1" },
  them: { 4: "10.99.0.2", 6: "fd99::2" },
  other: { 4: "10.99.0.3", 6: "fd99::3" },
} as const;

/** AS numbers of rows with eBGP. The daemon's needs four octets. */
export const asns = { us: 64512, them: 4200000002, other: 64513 } as const;

/** Name of our session with the daemon. */
export const toThem = "them";

const timeoutMs = Number(process.env["INTEROP_TIMEOUT_MS"] ?? 30_000);
const intervalMs = 100;

/** One session, told to both sides. */
export interface SessionOptions {
  /** Family of the connection. Default: 4. */
  readonly transport?: IpFamily;
  /** Default: that of the transport. */
  readonly families?: readonly IpFamily[];
  /** Both are AS 64512. Default: eBGP. */
  readonly ibgp?: boolean;
  /** Who connects. Default: both may. */
  readonly connects?: "us" | "them";
  /** More of our neighbor entry, of our file, and what the password file holds. */
  readonly neighbor?: SpeakerYaml;
  /** More neighbors of ours. */
  readonly neighbors?: readonly SpeakerYaml[];
  readonly speaker?: SpeakerYaml;
  readonly password?: string;
  /** More of the daemon's neighbor, and its routes. */
  readonly daemon?: Partial<DaemonNeighbor>;
  readonly routes?: readonly DaemonRoute[];
  /** More neighbors of the daemon. */
  readonly daemonNeighbors?: readonly DaemonNeighbor[];
}

/**
 * Two namespaces for one cell of the matrix, with our speaker and the daemon in them. All that it
 * starts ends with it.
 */
export class Lab {
  readonly daemon: Daemon;
  readonly pair: NamespacePair;
  readonly #speakers: TestSpeaker[] = [];
  #other: string | undefined;
  readonly #atEnd: (() => Promise<void>)[] = [];

  private constructor(daemon: Daemon, pair: NamespacePair) {
    this.daemon = daemon;
    this.pair = pair;
  }

  static async make(daemon: Daemon, name: string): Promise<Lab> {
    const lab = new Lab(daemon, await makeNamespacePair(name));
    lab.#atEnd.push(lab.pair.remove);
    return lab;
  }

  async remove(): Promise<void> {
    for (const end of this.#atEnd.toReversed()) await end();
  }

  /** What our speakers said, for a row that failed. */
  get log(): string {
    return this.#speakers.map(({ log }) => log).join("\n");
  }

  /** Starts both sides of one session. */
  async session(
    options: SessionOptions = {},
  ): Promise<{ readonly us: TestSpeaker; readonly them: RunningDaemon }> {
    const [us, them] = await Promise.all([
      this.speaker(speakerYaml(options), options.password),
      this.start(daemonConfig(options)),
    ]);
    return { us, them };
  }

  /** As `session`, and waits until both sides say that it is Established. */
  async established(options: SessionOptions = {}): ReturnType<Lab["session"]> {
    const { us, them } = await this.session(options);
    await this.waitEstablished(us, them, addresses.us[options.transport ?? 4]);
    return { us, them };
  }

  async waitEstablished(
    us: TestSpeaker,
    them: RunningDaemon,
    neighbor: string = addresses.us[4],
  ): Promise<void> {
    await this.until("the session at our side", async () => {
      const { state, reason } = await us.peer(toThem);
      return state === "Established" || fail(`${state}: ${reason}`);
    });
    await this.until("the session at the daemon", async () => {
      const state = await them.state(neighbor);
      return state === "Established" || fail(state);
    });
  }

  async speaker(
    config: SpeakerYaml,
    password?: string,
    namespace: string = this.pair.a,
  ): Promise<TestSpeaker> {
    const speaker = await TestSpeaker.start(namespace, config, password);
    this.#speakers.push(speaker);
    this.#atEnd.push(() => speaker.remove());
    return speaker;
  }

  /**
   * A third namespace on the same network, for `other`: it has the bridge. To be called before anything
   * is started.
   */
  async addOther(): Promise<void> {
    const { b } = this.pair;
    const c = `${b}c`;
    await outputOf("ip", "netns", "add", c);
    this.#atEnd.push(async () => void (await outputOf("ip", "netns", "del", c)));
    this.#other = c;
    const steps = [
      `-n ${b} link set eth0 netns ${c} name port1`,
      `-n ${b} link add eth0 type veth peer name port2 netns ${c}`,
      `-n ${c} link add br0 type bridge`,
      ...["port1", "port2"].map((port) => `-n ${c} link set ${port} master br0 up`),
      `-n ${c} link set br0 up`,
      `-n ${c} addr add ${addresses.other[4]}/24 dev br0`,
      `-n ${c} addr add ${addresses.other[6]}/64 dev br0 nodad`,
      `-n ${b} addr add ${addresses.them[4]}/24 dev eth0`,
      `-n ${b} addr add ${addresses.them[6]}/64 dev eth0 nodad`,
      `-n ${b} link set eth0 up`,
    ];
    for (const step of steps) await outputOf("ip", ...step.split(" "));
  }

  /** A second speaker of ours, in the namespace that `addOther` made. */
  other(config: SpeakerYaml): Promise<TestSpeaker> {
    if (this.#other === undefined) throw new Error("addOther comes first");
    return this.speaker(config, undefined, this.#other);
  }

  async start(config: DaemonConfig): Promise<RunningDaemon> {
    const them = await this.daemon.start(this.pair.b, config);
    this.#atEnd.push(() => them.stop());
    return them;
  }

  /** A program that runs beside the daemons until it is stopped. */
  background(namespace: string, ...command: readonly string[]): Background {
    const program = new Background(namespace, ...command);
    this.#atEnd.push(async () => void (await program.stop()));
    return program;
  }

  /** Waits for a condition, generously: slow machines run this too. */
  until<Value>(what: string, condition: () => Value | Promise<Value>): Promise<NonNullable<Value>> {
    return waitFor(condition, { timeoutMs, intervalMs, what: `${what} (${this.daemon.name})` });
  }

  /** The only path of the daemon to a prefix, when it has one. */
  pathAt(them: RunningDaemon, prefix: string): Promise<LearnedPath> {
    return this.until(`${prefix} at the daemon`, async () => (await them.learned(prefix))[0]);
  }

  /** The daemon has no path to a prefix (any more). */
  async noPathAt(them: RunningDaemon, prefix: string): Promise<void> {
    await this.until(`the end of ${prefix} at the daemon`, async () => {
      const paths = await them.learned(prefix);
      return paths.length === 0 || fail(JSON.stringify(paths));
    });
  }

  pathHere(us: TestSpeaker, prefix: string): Promise<RouteRow> {
    return this.until(`${prefix} here`, async () => (await us.received(prefix, toThem))[0]);
  }

  async noPathHere(us: TestSpeaker, prefix: string): Promise<void> {
    await this.until(`the end of ${prefix} here`, async () => {
      const paths = await us.received(prefix, toThem);
      return paths.length === 0 || fail(JSON.stringify(paths));
    });
  }
}

/** How often the kernel of a namespace counted something: a field of TcpExt in /proc/net/netstat. */
export async function tcpCounter(namespace: string, name: string): Promise<number> {
  const text = await outputOf("ip", "netns", "exec", namespace, "cat", "/proc/net/netstat");
  const [names = [], values = []] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf(name)]);
}

/** Throws: `waitFor` then tells what was seen last. */
export function fail(seen: string): never {
  throw new Error(seen);
}

/** Our side of a session. */
export function speakerYaml({
  transport = 4,
  families = [transport],
  ibgp = false,
  connects,
  neighbor,
  neighbors = [],
  speaker,
}: SessionOptions): SpeakerYaml {
  return {
    asn: asns.us,
    routerId: addresses.us[4],
    listen: [{ address: addresses.us[transport] }],
    neighbors: [
      {
        name: toThem,
        address: addresses.them[transport],
        localAddress: addresses.us[transport],
        asn: ibgp ? asns.us : asns.them,
        passive: connects === "them",
        connectRetrySeconds: 1,
        families: families.map((family) => `ipv${family}-unicast`),
        ...neighbor,
      },
      ...neighbors,
    ],
    ...speaker,
  };
}

/** The daemon's side. */
export function daemonConfig({
  transport = 4,
  families = [transport],
  ibgp = false,
  connects,
  daemon,
  routes = [],
  daemonNeighbors = [],
}: SessionOptions): DaemonConfig {
  return {
    asn: ibgp ? asns.us : asns.them,
    routerId: addresses.them[4],
    neighbors: [
      {
        address: addresses.us[transport],
        localAddress: addresses.them[transport],
        asn: asns.us,
        families,
        passive: connects === "us",
        ...daemon,
      },
      ...daemonNeighbors,
    ],
    routes,
  };
}
