import { keyOf } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { Node } from "../api/resources/node.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import { DryKernel } from "../kernel/dry/dry-kernel.ts";
import type { KernelChange } from "../kernel/dry/kernel-change.ts";
import type { Kernel, KernelRoute } from "../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../kernel/ownership.ts";
import type { Clock } from "../lib/clock.ts";
import { ipFamily } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import { secretRefs } from "./config/secrets.ts";
import { type SpeakerConfig, speakerConfig } from "./config/speaker-config.ts";
import { FibSync } from "./fib/fib-sync.ts";
import { speakerEnv } from "./speaker/datastore-config.ts";
import type { SpeakerEvent } from "./speaker/events.ts";
import { Reachability } from "./speaker/reachability.ts";
import { bgpKinds, ResourceCache, serviceKinds, workloadKinds } from "./speaker/resource-cache.ts";
import { defaultSecretsFolder, readSecrets } from "./speaker/secret-files.ts";
import { Speaker } from "./speaker/speaker.ts";

export interface DryRunPorts {
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the datastore holds, if it is valid. */
  decode(resource: ResourceOfKind[Kind]): ResourceOfKind[Kind] | null;
}

export interface BgpDryRun {
  /** Undefined: the node has no address to speak from, and no speaker would do anything. */
  readonly config: SpeakerConfig | undefined;
  /** What is configured for this node and cannot be used, or not be read, and why. */
  readonly unread: readonly string[];
  readonly changes: readonly KernelChange[];
  /** Routes of protocol 12 that the kernel has. */
  readonly present: readonly KernelRoute[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the speaker of a node would do to the kernel before any peer has told it a route: the very speaker and FIB,
 * on a kernel that is only read. No session is opened.
 */
export async function bgpDryRun(
  nodeName: string,
  env: Environment,
  ports: DryRunPorts,
): Promise<BgpDryRun> {
  const kernel = new DryKernel(ports.kernel);
  const present = await kernel.routes.list({ table: mainTable, protocol: routeProtocol.bird });
  const config = await readConfig(nodeName, env, ports);
  if (config !== undefined) await runSpeaker(config, kernel, ports);
  const node = await unlessAbsent(ports.datastore.get({ kind: "Node", name: nodeName }));
  const unread = config === undefined ? [] : [...config.problems, ...keptDown(config, node)];
  return { config, unread, changes: kernel.changes, present };
}

/** Sessions that would stay down, but for those of a family that the node lacks, or of an address that has another. */
function keptDown({ peers, blocked }: SpeakerConfig, node: Node | undefined): string[] {
  const { ipv4Address, ipv6Address } = node?.spec.bgp ?? {};
  return blocked
    .filter(({ address }) => (ipFamily(address) === 4 ? ipv4Address : ipv6Address) !== undefined)
    .filter(({ address }) => !peers.some(({ config }) => config.address === address))
    .map(({ name, reason }) => `Cannot use session ${name}: ${reason}`);
}

async function readConfig(
  nodeName: string,
  env: Environment,
  { datastore, decode }: DryRunPorts,
): Promise<SpeakerConfig | undefined> {
  const cache = new ResourceCache(nodeName);
  const kinds: readonly Kind[] = [...bgpKinds, ...workloadKinds, ...serviceKinds];
  const lists = await Promise.all(kinds.map((kind) => datastore.list(kind)));
  for (const resource of lists.flatMap(({ items }) => items as readonly ResourceOfKind[Kind][])) {
    cache.apply({ key: keyOf(resource), value: decode(resource) });
  }
  const folder = env["TORTIE_SECRETS_PATH"] || defaultSecretsFolder;
  const secrets = readSecrets(secretRefs(cache.resources), folder);
  return speakerConfig(cache.resources, nodeName, speakerEnv(env), secrets);
}

async function runSpeaker(
  config: SpeakerConfig,
  kernel: DryKernel,
  { clock, log }: DryRunPorts,
): Promise<void> {
  const speaker = new Speaker();
  // Nothing is waited for: what a timer would bring is not part of the first look.
  const still: Clock = { ...clock, setTimer: () => () => undefined };
  const fib = new FibSync({
    kernel,
    clock: still,
    log,
    mayKeep: speaker.mayKeep.bind(speaker),
    isHandedOver: (route) => speaker.forwarding.isHandedOver(route),
    ownsTunnel: () => speaker.config?.programs.includes("ipip") === true,
  });
  const handle = (event: SpeakerEvent) => {
    for (const effect of speaker.handle(event)) {
      if (effect.kind === "setRoutes") fib.setRoutes(effect.routes);
      else if (effect.kind === "converged") fib.converged();
      else if (effect.kind === "flushSoon") handle({ kind: "flush" });
    }
  };
  if ((await fib.adopt()) > 0) handle({ kind: "restarted" });
  const nextHops = await new Reachability(kernel, still, log).read();
  handle({ kind: "nextHops", nextHops });
  handle({ kind: "configured", config });
  await fib.apply();
}
