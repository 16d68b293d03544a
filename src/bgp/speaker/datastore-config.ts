import { isDraining } from "../../api/drain.ts";
import type { Kind } from "../../api/resource-of-kind.ts";
import type { Datastore } from "../../datastore/datastore.ts";
import { runSyncer, type SyncerConfig } from "../../datastore/reflector.ts";
import type { SyncerCallbacks } from "../../datastore/syncer.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type Logger, levelOfSeverity } from "../../lib/log.ts";
import { aborted, runServices } from "../../lib/service.ts";
import type { BgpResources } from "../config/bgp-resources.ts";
import { type Secrets, secretRefs } from "../config/secrets.ts";
import { type SpeakerConfig, type SpeakerEnv, speakerConfig } from "../config/speaker-config.ts";
import { bgpKinds, ResourceCache, serviceKinds, workloadKinds } from "./resource-cache.ts";
import { defaultSecretsFolder, readSecrets } from "./secret-files.ts";

/** Changes of the datastore that arrive within this time are one change of configuration. */
const settleMs = 50;
/** Files with secrets are read again after this long. */
const secretsPollMs = 10_000;

export interface DatastoreConfigDeps {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Turns an object into what the speaker sees; null when it is invalid. */
  readonly decode?: SyncerConfig["decode"];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Kinds that are followed together. */
interface Feed {
  readonly kinds: readonly Kind[];
  /** Whether the configuration asks for them. Once followed they are to the end. */
  readonly isWanted: (resources: BgpResources, env: Environment, nodeName: string) => boolean;
}

/** What the speaker of a node follows. */
const nodeFeeds: readonly Feed[] = [
  { kinds: bgpKinds, isWanted: () => true },
  {
    kinds: workloadKinds,
    isWanted: ({ peers, nodes }, _, nodeName) => {
      const node = nodes.get(nodeName);
      const isDrained = node !== undefined && isDraining(node);
      const peersWithPods = [...peers.values()].some(
        ({ spec }) => (spec.localWorkloadSelector ?? "") !== "",
      );
      return isDrained || peersWithPods;
    },
  },
  {
    kinds: serviceKinds,
    isWanted: ({ configurations }, env) => {
      const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs } =
        configurations.get("default")?.spec ?? {};
      const lists = [serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs];
      const isGiven = (env["CALICO_ADVERTISE_CLUSTER_IPS"] ?? "") !== "";
      return isGiven || lists.some((list) => (list ?? []).length > 0);
    },
  },
];

/** Another speaker than that of a node: what it follows, and what it makes of it. */
export interface ConfigSource {
  readonly kinds: readonly Kind[];
  /** @throws {SyntaxError} when what it needs cannot be read. */
  configOf(resources: BgpResources): SpeakerConfig;
}

export interface DatastoreConfigOptions {
  readonly nodeName: string;
  readonly env: Environment;
  /** Absent: the speaker of the node. */
  readonly source?: ConfigSource;
}

/** A feed, and how far it is. */
interface FeedState extends Feed {
  readonly wanted: PromiseWithResolvers<void>;
  isAsked: boolean;
  isInSync: boolean;
}

/**
 * Turns what the datastore and the files with secrets say into configurations, as soon as they have
 * said all: half of it would withdraw routes. A configuration that cannot be read leaves the one
 * before in force.
 */
export class DatastoreConfig {
  readonly #nodeName: string;
  readonly #source: ConfigSource | undefined;
  readonly #env: Environment;
  readonly #deps: DatastoreConfigDeps;
  readonly #onConfig: (config: SpeakerConfig) => void;
  readonly #cache: ResourceCache;
  readonly #feeds: readonly FeedState[];
  /** Level of the log without a configuration. */
  readonly #ownLevel: string;
  #secrets: Secrets = new Map();
  #isPending = false;
  #last = "";

  constructor(
    { nodeName, env, source }: DatastoreConfigOptions,
    deps: DatastoreConfigDeps,
    onConfig: (config: SpeakerConfig) => void,
  ) {
    this.#nodeName = nodeName;
    this.#source = source;
    this.#env = env;
    this.#deps = deps;
    this.#onConfig = onConfig;
    this.#cache = new ResourceCache(nodeName);
    const feeds =
      source === undefined ? nodeFeeds : [{ kinds: source.kinds, isWanted: () => true }];
    this.#feeds = feeds.map((feed) => ({
      ...feed,
      wanted: Promise.withResolvers<void>(),
      isAsked: false,
      isInSync: false,
    }));
    this.#ownLevel = deps.log.level;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#askForFeeds();
    const follow = (feed: FeedState) => (stop: AbortSignal) => this.#follow(feed, stop);
    const services = [...this.#feeds.map(follow), (stop: AbortSignal) => this.#pollSecrets(stop)];
    await runServices(services, signal);
  }

  async #follow(feed: FeedState, signal: AbortSignal): Promise<void> {
    await Promise.race([feed.wanted.promise, aborted(signal)]);
    if (signal.aborted) return;
    const { datastore, clock, log, decode } = this.#deps;
    const callbacks: SyncerCallbacks = {
      onUpdates: (updates) => {
        for (const update of updates) this.#cache.apply(update);
        this.#configureSoon(signal);
      },
      onStatus: (status) => {
        if (status !== "in-sync" || feed.isInSync) return;
        feed.isInSync = true;
        this.#configure();
      },
    };
    const config = { kinds: feed.kinds, ...(decode === undefined ? {} : { decode }) };
    await runSyncer(config, { datastore, callbacks, clock, log }, signal);
  }

  async #pollSecrets(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(secretsPollMs, signal);
      const before = this.#secrets;
      if (JSON.stringify([...this.#readSecrets()]) !== JSON.stringify([...before])) {
        this.#configure();
      }
    }
  }

  #configureSoon(signal: AbortSignal): void {
    if (this.#isPending || !this.#isComplete()) return;
    this.#isPending = true;
    this.#deps.clock.setTimer(settleMs, () => {
      this.#isPending = false;
      if (!signal.aborted) this.#configure();
    });
  }

  #configure(): void {
    if (!this.#isComplete()) return;
    this.#askForFeeds();
    if (!this.#isComplete()) return;
    const config = this.#read();
    const text = JSON.stringify(config);
    if (config === undefined || text === this.#last) return;
    this.#last = text;
    this.#tell(config);
    this.#onConfig(config);
  }

  /** Only the first feed says whether others are wanted. */
  #askForFeeds(): void {
    for (const feed of this.#feeds) {
      if (feed.isAsked || !feed.isWanted(this.#cache.resources, this.#env, this.#nodeName))
        continue;
      feed.isAsked = true;
      feed.wanted.resolve();
    }
  }

  #isComplete(): boolean {
    return this.#feeds.every(({ isAsked, isInSync }) => !isAsked || isInSync);
  }

  #read(): SpeakerConfig | undefined {
    const { log } = this.#deps;
    const { resources } = this.#cache;
    try {
      if (this.#source !== undefined) return this.#source.configOf(resources);
      const secrets = this.#readSecrets();
      const config = speakerConfig(resources, this.#nodeName, speakerEnv(this.#env), secrets);
      if (config === undefined) log.info("Waiting for this node's BGP address");
      return config;
    } catch (error) {
      log.error({ reason: errorMessage(error) }, "Configuration not usable");
      return undefined;
    }
  }

  #readSecrets(): Secrets {
    const folder = this.#env["TORTIE_SECRETS_PATH"] || defaultSecretsFolder;
    this.#secrets = readSecrets(secretRefs(this.#cache.resources), folder);
    return this.#secrets;
  }

  #tell({ problems, blocked, logSeverity }: SpeakerConfig): void {
    const { log } = this.#deps;
    log.level = logSeverity === undefined ? this.#ownLevel : levelOfSeverity(logSeverity);
    for (const problem of problems) log.warn({ problem }, "Configuration problem");
    for (const { name, reason } of blocked) log.warn({ peer: name, reason }, "Peer kept down");
  }
}

/** Of the variables those that the configuration depends on. */
export function speakerEnv(env: Environment): SpeakerEnv {
  const names = [
    "CALICO_ROUTER_ID",
    "CALICO_ADVERTISE_CLUSTER_IPS",
    "CALICO_K8S_NODE_REF",
    "FELIX_PROGRAMCLUSTERROUTES",
  ] as const satisfies readonly (keyof SpeakerEnv)[];
  const given = names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
  return Object.fromEntries(given) as SpeakerEnv;
}
