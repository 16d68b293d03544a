import { rmSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { localSources } from "../felix/config/config-file.ts";
import { readParameters } from "../felix/config/read-parameters.ts";
import { readHealth } from "../felix/health/felix-health.ts";
import { Ipam } from "../ipam/ipam.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { LatestValue } from "../lib/latest-value.ts";
import { processIdentity } from "../lib/own-process.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices, type Service } from "../lib/service.ts";
import {
  felixHealthFile,
  makeRunDirectory,
  removePidFile,
  runDirectory,
  runningProcess,
  writePidFile,
} from "./child-process-file.ts";
import { onDatastoreChange } from "./datastore-changes.ts";
import { felixValues } from "./felix-values.ts";
import { type HealthConfig, HealthReports, healthConfig } from "./health.ts";
import { answerHealthChecks } from "./health-service.ts";
import { hostInterfaces } from "./host-interfaces.ts";
import { hostMtu, MtuFile, MtuFileError, mtuFile, podMtu } from "./mtu.ts";
import { nodeNameOf } from "./node-name.ts";
import {
  type Env,
  refreshNode,
  runStartup,
  type StartupPorts,
  watchesAddresses,
} from "./startup.ts";
import { storedInputs } from "./stored-inputs.ts";
import { type ChildState, type SupervisedChild, superviseChild } from "./supervisor.ts";
import { reconcileTunnelAddresses } from "./tunnel-addresses.ts";
import { TunnelDebts } from "./tunnel-debts.ts";
import { TunnelLinger } from "./tunnel-linger.ts";
import {
  superviseUdpTunnel,
  udpTunnelChild,
  udpTunnelFamily,
  udpTunnelPort,
} from "./udp-tunnel/udp-tunnel-child.ts";

/** What `tortie node` is made of. */
export interface NodePorts extends StartupPorts {
  /** How the daemons are started: Node, and what comes before the subcommand. */
  readonly command: { readonly program: string; readonly args: readonly string[] };
  /** Runs as soon as this process is the node's, before start-up. */
  readonly claimed?: Service;
  /** Runs once start-up is over, beside the daemons. */
  readonly started?: Service;
}

const reconcilePace = { minIntervalMs: 200, retryIntervalMs: 5000, maxIntervalMs: 60_000 };

/**
 * The node's first process (architecture: processes): start-up, then keeps `tortie felix` and
 * `tortie bgp` running, the node's tunnel addresses, MTU file and address up to date, and answers
 * health checks.
 *
 * @throws {InputError} for what the environment says, or when this node runs already.
 */
export function runNode(env: Env, ports: NodePorts): Service {
  return async (signal) => {
    const runDir = runDirectory(env);
    const health = new LatestValue<HealthConfig | undefined>();
    // Who asks while the datastore cannot be reached is answered, too.
    health.set(healthConfig(readParameters(localSources(env)).values));
    const pollMs = pollInterval(env);
    const children = childrenOf(env, nodeNameOf(env), ports.command);
    makeRunDirectory(runDir);
    const self = claimRunDirectory(runDir);
    try {
      const reports = new HealthReports();
      reports.report("startup", { live: true, ready: false, reason: "start-up is not finished" });
      const udpTunnel = new LatestValue<number | undefined>();
      const state = { runDir, reports, pollMs, children, health, udpTunnel };
      const services = [
        mainService(env, ports, state),
        answerHealthChecks(health, ports, reports),
        ...(ports.claimed === undefined ? [] : [ports.claimed]),
      ];
      await runServices(services, signal);
    } finally {
      removePidFile(runDir, "node", self);
    }
  };
}

function claimRunDirectory(runDir: string): NonNullable<ReturnType<typeof processIdentity>> {
  const other = runningProcess(runDir, "node", "node");
  if (other !== undefined && other.pid !== process.pid) {
    throw new InputError(`Cannot start: process ${other.pid} runs this node already (${runDir})`);
  }
  const self = processIdentity(process.pid);
  if (self === undefined) throw new Error("Cannot read /proc: is it mounted");
  writePidFile(runDir, "node", self);
  return self;
}

interface NodeState {
  readonly runDir: string;
  readonly reports: HealthReports;
  readonly pollMs: number;
  readonly children: readonly SupervisedChild[];
  readonly health: LatestValue<HealthConfig | undefined>;
  /** Port of the userspace UDP tunnel, while a pool asks for it. */
  readonly udpTunnel: LatestValue<number | undefined>;
}

function mainService(env: Env, ports: NodePorts, state: NodeState): Service {
  return async (signal) => {
    const { datastore, clock, log } = ports;
    const name = await runStartup(env, ports, signal);
    const ipam = new Ipam({ datastore, clock, random: Math.random });
    await ipam.upgradeHost(name);
    const linger = new TunnelLinger(clock);
    const reconcile = reconciler(env, name, { ...ports, ...state, ipam, linger });
    // Felix and the speaker begin with the node's tunnel addresses, if they can be had.
    await reconcile().catch((error: unknown) => {
      if (error instanceof MtuFileError) throw error;
      logReconcileFailure(ports, error);
    });
    state.reports.report("startup", { live: true, ready: true, reason: "" });
    log.info({ node: name }, "node started");
    await runServices(
      [
        ...state.children.map((child) => supervised(child, ports, state)),
        ...(ports.started === undefined ? [] : [ports.started]),
        superviseUdpTunnel(state.udpTunnel, (port) => udpTunnelChild(port, ports.command, env), {
          runDir: state.runDir,
          clock,
          log,
        }),
        reconcileService(reconcile, name, { ...ports, linger }),
        ...(watchesAddresses(env) ? [addressMonitor(env, name, { ports, ...state })] : []),
      ],
      signal,
    );
  };
}

/**
 * V8 lets a heap grow to several times of what is alive before it collects: with 200 pods and 1,000 policies felix
 * takes 230 MB, with this 110, and no more processor time. Not for BGP, which a full table slows by a tenth.
 */
const thriftyHeap = "--heap-growing-percent=30";

/** Which daemons this node runs (facts 1.1). */
export function childrenOf(
  env: Env,
  name: string,
  command: NodePorts["command"],
): SupervisedChild[] {
  const backend = env["CALICO_NETWORKING_BACKEND"]?.trim() || "bird";
  if (!["bird", "vxlan", "none"].includes(backend)) {
    throw new InputError(
      `Cannot use CALICO_NETWORKING_BACKEND "${backend}": it must be bird, vxlan or none`,
    );
  }
  const child = (subcommand: string, flags: readonly string[] = []): SupervisedChild => ({
    name: subcommand,
    subcommand,
    program: command.program,
    args: [...flags, ...command.args, subcommand],
    env: { ...env, NODENAME: name },
  });
  return [
    ...((env["CALICO_DISABLE_FELIX"] ?? "") === "" ? [child("felix", [thriftyHeap])] : []),
    ...(backend === "bird" ? [child("bgp")] : []),
  ];
}

/** A felix that has just begun: the kernel is not as it should be. */
const notYetReported = { live: true, ready: false, reason: "it has not reported yet" };

function supervised(child: SupervisedChild, ports: NodePorts, state: NodeState): Service {
  const { runDir, reports } = state;
  let felixPid: number | undefined;
  if (child.name === "felix") {
    const file = felixHealthFile(runDir);
    const now = () => ports.clock.date().getTime();
    reports.follow(() => {
      if (felixPid === undefined) return {};
      const parts = readHealth(file, felixPid, now());
      return Object.keys(parts).length > 0 ? parts : { [child.name]: notYetReported };
    });
  }
  const onState = (name: string, now: ChildState) => {
    felixPid = now.kind === "running" ? now.pid : undefined;
    if (felixPid === undefined) forgetReport(child, runDir);
    reports.report(name, {
      live: true,
      ready: now.kind === "running",
      reason: now.kind === "running" ? "" : `not running: ${now.reason}`,
    });
  };
  onState(child.name, { kind: "stopped", reason: "not started yet" });
  return superviseChild(child, { runDir, clock: ports.clock, log: ports.log, onState });
}

/** The next felix may have the pid of the one that wrote: a container that is started again counts from 1 again. */
function forgetReport({ name, subcommand }: SupervisedChild, runDir: string): void {
  if (name !== "felix" || runningProcess(runDir, name, subcommand) !== undefined) return;
  rmSync(felixHealthFile(runDir), { force: true });
}

/** Brings tunnel addresses and the MTU file in line with the pools, and health checks with Felix's configuration. */
function reconciler(
  env: Env,
  name: string,
  ports: NodePorts & {
    readonly ipam: Ipam;
    readonly linger: TunnelLinger;
  } & Pick<NodeState, "health" | "udpTunnel">,
): () => Promise<void> {
  const { datastore, ipam, log, linger, health, udpTunnel } = ports;
  let servedPort: number | undefined;
  const mtus = new MtuFile(mtuFile(env), log);
  const debts = new TunnelDebts(ports.clock);
  let answering = healthConfig(readParameters(localSources(env)).values);
  return async () => {
    const stored = await storedInputs(datastore);
    const { pools, configurations } = stored;
    const values = await felixValues(env, name, { configurations, datastore });
    const config = healthConfig(values);
    if (!isDeepStrictEqual(config, answering)) health.set(config);
    answering = config;
    const port = udpTunnelPort(pools, values);
    const udpFamily = await udpTunnelFamily(pools, name, datastore);
    const host = hostMtu(values.mtuIfacePattern, await hostInterfaces(ports.kernel));
    mtus.update(host, {
      required: values.requireMTUFile,
      podMtu: (ofHost) => podMtu(ofHost, pools, { values, udpFamily }),
    });
    if (port !== servedPort) udpTunnel.set(port);
    servedPort = port;
    await reconcileTunnelAddresses(name, stored, { datastore, ipam, log, env, linger, debts });
  };
}

function reconcileService(
  reconcile: () => Promise<void>,
  name: string,
  { linger, ...ports }: NodePorts & { readonly linger: TunnelLinger },
): Service {
  return async (signal) => {
    const { clock } = ports;
    const runner = new PacedRunner(reconcilePace, clock);
    const kinds = ["ClusterInformation", "FelixConfiguration", "IPPool", "Node"] as const;
    const changes = onDatastoreChange(kinds, ports, {
      matters: (key) => key.kind !== "Node" || key.name === name,
      onChange: () => runner.request(),
    });
    const onError = (error: unknown) => logReconcileFailure(ports, error);
    const run = async (inner: AbortSignal) => {
      await reconcile();
      const { remainingMs } = linger;
      if (remainingMs === undefined) return;
      const again = () => runner.request();
      void clock.sleep(remainingMs, inner).then(again, () => undefined);
    };
    await runServices([changes, (inner) => runner.start(() => run(inner), onError, inner)], signal);
  };
}

function logReconcileFailure({ log }: NodePorts, error: unknown): void {
  log.error({ err: errorMessage(error) }, "tunnel addresses or MTU not up to date");
}

/** Looks for the node's address again from time to time. A failure leaves what is there. */
function addressMonitor(
  env: Env,
  name: string,
  state: { readonly ports: NodePorts; readonly pollMs: number },
): Service {
  const { ports, pollMs } = state;
  return async (signal) => {
    while (!signal.aborted) {
      await ports.clock.sleep(pollMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await refreshNode(env, name, ports);
      } catch (error) {
        ports.log.error({ err: errorMessage(error) }, "node address not refreshed");
      }
    }
  };
}

/** AUTODETECT_POLL_INTERVAL: "60s", "2m", or seconds. */
function pollInterval(env: Env): number {
  const text = env["AUTODETECT_POLL_INTERVAL"]?.trim() || "60s";
  const match = /^(\d{1,6})(s|m)?$/.exec(text);
  const seconds = Number(match?.[1] ?? 0) * (match?.[2] === "m" ? 60 : 1);
  if (seconds > 0) return seconds * 1000;
  throw new InputError(
    `Cannot use AUTODETECT_POLL_INTERVAL "${text}": it must be a time such as 60s or 2m`,
  );
}
