import { readFileSync } from "node:fs";
import { type FelixLayers, felixLayers } from "../api/felix-layers.ts";
import { CniAgent } from "../cni/agent.ts";
import { runAgentSocket } from "../cni/agent-service.ts";
import { defaultSocketPath } from "../cni/protocol.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { openDatastore } from "../datastore/open-datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import { type FelixConfig, felixConfig } from "../felix/config.ts";
import { felixControlPath } from "../felix/denials/control-path.ts";
import { serveDenials } from "../felix/denials/serve-denials.ts";
import { Felix } from "../felix/felix-service.ts";
import { nflogGroups } from "../felix/rules/nflog.ts";
import { withoutDenialLog } from "../felix/rules/rules-config.ts";
import { Ipam } from "../ipam/ipam.ts";
import { type ExecHelper, startExecHelper } from "../kernel/exec-helper.ts";
import { detectBackend } from "../kernel/iptables/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { inNetns } from "../kernel/netns.ts";
import { type NflogGroups, openNflog } from "../kernel/nflog.ts";
import { writeSysctl } from "../kernel/sysctl.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { runServices, type Service } from "../lib/service.ts";
import { mtuFile } from "../node/mtu.ts";
import { nodeNameOf } from "../node/node-name.ts";
import { ipamAddresses } from "./cni-addresses.ts";
import { acceptStored } from "./decode.ts";
import { type Environment, runDaemon } from "./process.ts";
import { StoredLayers } from "./stored-layers.ts";

/** "Start me again": the configuration has changed (facts 1.1). */
const restartCode = 129;
const programTimeoutMs = 30_000;

interface Parts {
  readonly nodeName: string;
  readonly env: Environment;
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  readonly log: Logger;
}

/** `tortie felix`: felix, and the CNI agent beside it. Gives the exit code. */
export async function runFelixProcess(env: Environment): Promise<number> {
  let restart = false;
  // First of all, while this process is small (ADR 5).
  const exec = startExecHelper();
  const code = await runDaemon("felix", env, async (log, signal) => {
    const datastore = await openDatastore(env);
    const kernel = openLinuxKernel();
    const stop = new AbortController();
    try {
      const parts = { nodeName: nodeNameOf(env), env, datastore, kernel, exec, log };
      await runParts(parts, AbortSignal.any([signal, stop.signal]), () => {
        restart = true;
        stop.abort(new Error("the configuration has changed"));
      });
    } finally {
      kernel.close();
      await datastore.close();
    }
  });
  exec.close();
  return restart ? restartCode : code;
}

async function runParts(parts: Parts, signal: AbortSignal, onNewConfig: () => void): Promise<void> {
  const { nodeName, datastore, kernel, exec, log, env } = parts;
  const config = felixConfig({ ...(await storedConfig(nodeName, datastore)), env });
  if (config.ignored.length > 0) {
    log.warn({ parameters: config.ignored }, "parameters that nothing acts on are ignored");
  }
  writeSysctl(["net", "ipv4", "ip_forward"], "1");
  if (config.ipv6Support) writeSysctl(["net", "ipv6", "conf", "all", "forwarding"], "1");
  const backend = await detectBackend(exec, config.iptablesBackend);
  log.info({ backend: backend.kind, version: backend.version }, "iptables backend");
  const clock = systemClock;
  const decode = acceptStored(log);
  const nflog = openDenials(config, log);
  const rules = nflog === undefined ? withoutDenialLog(config.rules) : config.rules;
  const felix = new Felix(
    nodeName,
    { ...config, rules },
    {
      ...(nflog === undefined ? {} : { nflog }),
      datastore,
      kernel,
      exec,
      backend,
      clock,
      log,
      decode,
    },
  );
  const services: Service[] = [
    (stop) => felix.run(stop),
    (stop) => runAgent(felix, parts, stop),
    (stop) => watchConfig(config, parts, onNewConfig, stop),
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

async function runAgent(felix: Felix, parts: Parts, signal: AbortSignal): Promise<void> {
  const { nodeName, env, datastore, kernel, log } = parts;
  await Promise.race([
    felix.ready,
    new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true })),
  ]);
  if (signal.aborted) return;
  const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
  const agent = new CniAgent(
    { nodeName, programTimeoutMs, defaultMtu: () => mtuOf(mtuFile(env)) },
    {
      datastore,
      clock: systemClock,
      hostKernel: kernel,
      openPodKernel: (netnsFd) => openLinuxKernel({ netnsFd }),
      writePodSysctl: (netnsFd, path, value) => inNetns(netnsFd, () => writeSysctl(path, value)),
      addresses: ipamAddresses(ipam, { datastore, clock: systemClock }),
      felix,
      log,
    },
  );
  const path = env["TORTIE_CNI_SOCKET"] ?? defaultSocketPath;
  log.info({ socket: path }, "CNI agent listens");
  await runAgentSocket(path, { agent, log }, signal);
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

async function storedConfig(nodeName: string, datastore: Datastore): Promise<FelixLayers> {
  const { items } = await datastore.list("FelixConfiguration");
  return felixLayers(items, { name: nodeName, labels: await labelsOf(nodeName, datastore) });
}

async function labelsOf(
  name: string,
  datastore: Datastore,
): Promise<Readonly<Record<string, string>>> {
  try {
    return (await datastore.get({ kind: "Node", name })).metadata.labels ?? {};
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}

/** Configurations with the same text make no difference. */
function actingText({ ignored: _ignored, ...acting }: FelixConfig): string {
  return JSON.stringify(acting);
}

/** A change that matters starts felix anew; one that cannot be used is said and passed over. */
function watchConfig(
  present: FelixConfig,
  parts: Parts,
  onNewConfig: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { nodeName, env, datastore, log } = parts;
  const stored = new StoredLayers(nodeName);
  let inSync = false;
  const judge = () => {
    if (!inSync) return;
    try {
      const next = felixConfig({ ...stored.layers, env });
      if (actingText(next) !== actingText(present)) onNewConfig();
    } catch (err) {
      log.error({ err }, "FelixConfiguration cannot be used");
    }
  };
  return runSyncer(
    { kinds: StoredLayers.kinds },
    {
      datastore,
      clock: systemClock,
      log,
      callbacks: {
        onUpdates: (updates) => {
          if (stored.learn(updates)) judge();
        },
        onStatus: (status) => {
          inSync ||= status === "in-sync";
          judge();
        },
      },
    },
    signal,
  );
}
