import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { CniAgent } from "../cni/agent.ts";
import { runAgentSocket } from "../cni/agent-service.ts";
import { defaultSocketPath, defaultSpoolFolder } from "../cni/protocol.ts";
import { SpooledDeletions } from "../cni/spooled-deletions.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { datastoreType } from "../datastore/open-datastore.ts";
import type { FelixConfig } from "../felix/config/felix-config.ts";
import { hostSysctls } from "../felix/dataplane/host-sysctls.ts";
import { sweepLeftovers } from "../felix/dataplane/leftovers.ts";
import { felixControlPath } from "../felix/denials/control-path.ts";
import { serveDenials } from "../felix/denials/serve-denials.ts";
import { FelixDoor } from "../felix/felix-door.ts";
import { Felix } from "../felix/felix-service.ts";
import { healthService } from "../felix/health/health-service.ts";
import { FelixCounters } from "../felix/metrics/felix-counters.ts";
import { felixMetrics } from "../felix/metrics/felix-metrics.ts";
import { serveFelixMetrics } from "../felix/metrics/serve-felix-metrics.ts";
import { wireguardDevices, wireguardMetrics } from "../felix/metrics/wireguard-metrics.ts";
import { nflogGroups } from "../felix/rules/nflog.ts";
import { withoutDenialLog } from "../felix/rules/rules-config.ts";
import { Ipam } from "../ipam/ipam.ts";
import type { ExecHelper } from "../kernel/exec-helper.ts";
import { detectBackend, withFeatures } from "../kernel/iptables/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { inNetns } from "../kernel/netns.ts";
import { type NflogGroups, openNflog } from "../kernel/nflog.ts";
import { writeSysctl } from "../kernel/sysctl.ts";
import { systemClock } from "../lib/clock.ts";
import { LatestValue } from "../lib/latest-value.ts";
import type { Logger } from "../lib/log.ts";
import { aborted, runServices, type Service } from "../lib/service.ts";
import { felixHealthFile, runDirectory } from "../node/child-process-file.ts";
import { mtuFile } from "../node/mtu.ts";
import { nodeNameOf } from "../node/node-name.ts";
import { pathsControlPath } from "../paths/control.ts";
import { PathChecks } from "../paths/path-checks.ts";
import { ipamAddresses } from "./cni-addresses.ts";
import { acceptStored } from "./decode.ts";
import { watchConfig } from "./felix-config.ts";
import { FelixLog } from "./felix-log.ts";
import { openSharedDatastore } from "./node-datastore.ts";
import { type Environment, runDaemon } from "./process.ts";

const programTimeoutMs = 30_000;
const gateTimeoutMs = 5_000;

interface Parts {
  readonly nodeName: string;
  readonly env: Environment;
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  /** Of `kernel`: they follow the configuration. */
  readonly limits: { netlinkMs: number };
  readonly exec: ExecHelper;
  readonly log: Logger;
  readonly felixLog: FelixLog;
  readonly counters: FelixCounters;
}

interface FelixParts extends Parts {
  readonly checks: PathChecks;
}

/** `tortie felix`: felix, and the CNI agent beside it. Ends the helper, too. Gives the exit code. */
export async function runFelixProcess(env: Environment, exec: ExecHelper): Promise<number> {
  const felixLog = new FelixLog();
  const run = async (log: Logger, signal: AbortSignal) => {
    const datastore = await openSharedDatastore(env, log);
    const limits = { netlinkMs: 0 };
    const kernel = openLinuxKernel({ timeoutMs: () => limits.netlinkMs });
    try {
      const counters = new FelixCounters();
      const counted = { exec: counters.counting(exec), counters };
      await runParts(
        { nodeName: nodeNameOf(env), env, datastore, kernel, limits, log, felixLog, ...counted },
        signal,
      );
    } finally {
      kernel.close();
      await datastore.close();
    }
  };
  const { destination } = felixLog;
  const code = await runDaemon("felix", env, run, {
    destination,
    debugFiles: () => felixLog.debugFiles,
  });
  await felixLog.close();
  exec.close();
  return code;
}

/** The agent, path checks and what they know stay through changes of the configuration; each has its own Felix. */
async function runParts(parts: Parts, signal: AbortSignal): Promise<void> {
  const door = new FelixDoor();
  const configs = new LatestValue<FelixConfig>();
  const checks = new PathChecks({
    ...parts,
    clock: systemClock,
    random: Math.random,
    controlPath: pathsControlPath(parts.env),
  });
  await runServices(
    [
      watchConfig(parts, (config) => {
        configs.set(config);
        checks.configure(config.pathChecks);
      }),
      (stop) => runFelixes(door, configs, { parts: { ...parts, checks }, stop }),
      (stop) => checks.run(stop),
      (stop) => runAgent(door, parts, stop),
    ],
    signal,
  );
}

/** Rules that tell of denials are written only where somebody can listen. */
function openDenials({ rules }: FelixConfig, log: Logger): NflogGroups | undefined {
  if (rules.denialLogLimit === undefined) return undefined;
  try {
    return openNflog(Object.values(nflogGroups));
  } catch (err) {
    log.warn({ err }, "policyDenialLogs has no effect: the kernel does not tell of denied packets");
    return undefined;
  }
}

async function runFelixes(
  door: FelixDoor,
  configs: LatestValue<FelixConfig>,
  { parts, stop }: { readonly parts: FelixParts; readonly stop: AbortSignal },
): Promise<void> {
  while (!stop.aborted) {
    const latest = await configs.next(stop);
    if (latest === undefined) return;
    await runFelix(latest.value, { door, parts }, AbortSignal.any([stop, latest.outdated]));
  }
}

/** Until there is another configuration. The kernel stays as it is. */
async function runFelix(
  config: FelixConfig,
  { door, parts }: { readonly door: FelixDoor; readonly parts: FelixParts },
  signal: AbortSignal,
): Promise<void> {
  const { nodeName, env, datastore, kernel, limits, exec, log, counters, checks } = parts;
  for (const [path, value] of hostSysctls(config)) writeSysctl(path, value);
  limits.netlinkMs = config.netlinkTimeoutMs;
  const detected = await detectBackend(exec, config.iptablesBackend);
  const backend = withFeatures(detected, config.iptablesFeatures);
  log.info({ backend: backend.kind, version: backend.version }, "felix begins");
  const nflog = openDenials(config, log);
  const rules = nflog === undefined ? withoutDenialLog(config.rules) : config.rules;
  const clock = systemClock;
  const ports = { datastore, kernel, exec, backend, clock, log, counters };
  const felix = new Felix(
    nodeName,
    { ...config, rules },
    { ...ports, ...(nflog === undefined ? {} : { nflog }), decode: acceptStored(log) },
  );
  door.open(felix);
  const collect = async () => [
    ...felixMetrics(nodeName, counters, felix.sizes()),
    ...checks.metrics(),
    ...wireguardMetrics(nodeName, await wireguardDevices(config.metrics.wireguardDevices, ports)),
  ];
  const file = felixHealthFile(runDirectory(env));
  const health = () => felix.health();
  const services: Service[] = [
    (stop) => felix.run(stop),
    serveFelixMetrics(config.metrics, { collect, log }),
    healthService(config.health, { file, pid: process.pid, health, clock, log }),
    async (stop) => {
      await Promise.race([felix.ready, aborted(stop)]);
      await sweepLeftovers({ backend, ipv6Support: config.ipv6Support }, ports)(stop);
    },
  ];
  if (nflog !== undefined) {
    services.push((stop) => serveDenials(felixControlPath(env), felix.denials, stop));
  }
  try {
    await runServices(services, signal);
  } finally {
    nflog?.close();
  }
}

async function runAgent(felix: FelixDoor, parts: Parts, signal: AbortSignal): Promise<void> {
  const { nodeName, env, datastore, kernel, log } = parts;
  await Promise.race([felix.ready, aborted(signal)]);
  if (signal.aborted) return;
  const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
  const spool = env["TORTIE_CNI_SPOOL"] ?? defaultSpoolFolder;
  const deletions = new SpooledDeletions(spool, log);
  const agent = new CniAgent(
    {
      nodeName,
      programTimeoutMs,
      defaultMtu: () => mtuOf(mtuFile(env)),
      podsAreStored: datastoreType(env) === "kubernetes",
    },
    {
      datastore,
      clock: systemClock,
      hostKernel: kernel,
      openPodKernel: (netnsFd) => openLinuxKernel({ netnsFd }),
      writeHostSysctl: writeSysctl,
      writePodSysctl: (netnsFd, path, value) => inNetns(netnsFd, () => writeSysctl(path, value)),
      random: (octets) => randomBytes(octets),
      addresses: ipamAddresses(ipam, { nodeName, datastore, clock: systemClock }),
      deletions,
      answers,
      felix,
      log,
    },
  );
  const path = env["TORTIE_CNI_SOCKET"] ?? defaultSocketPath;
  // Before anybody can add one of these containers again.
  await deletions.tryOut(agent);
  log.info({ socket: path }, "CNI agent listens");
  await runServices(
    [
      (stop) => runAgentSocket(path, { agent, log }, stop),
      (stop) => deletions.keepUp({ agent, clock: systemClock }, stop),
    ],
    signal,
  );
}

async function answers(url: string): Promise<boolean> {
  const patience = AbortSignal.timeout(gateTimeoutMs);
  try {
    const { status, body } = await fetch(url, { signal: patience, redirect: "manual" });
    // Unread, it would keep its connection.
    await body?.cancel();
    return status >= 200 && status < 400;
  } catch {
    return false;
  }
}

/** 0 when nobody wrote it: the kernel's default then. */
function mtuOf(file: string): number {
  try {
    const mtu = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isInteger(mtu) ? mtu : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
