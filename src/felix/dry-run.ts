import type { ResourceKey } from "../api/resource-key.ts";
import { keyOf } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { dryExec } from "../kernel/dry/dry-exec.ts";
import { DryIpSets, type SetDifference, type SetReader } from "../kernel/dry/dry-ip-sets.ts";
import { DryKernel } from "../kernel/dry/dry-kernel.ts";
import type { KernelChange } from "../kernel/dry/kernel-change.ts";
import type { ExecHelper } from "../kernel/exec-helper.ts";
import { IpSetCommands } from "../kernel/ipset/ipset-commands.ts";
import { type IptablesBackend, programOf } from "../kernel/iptables/backend.ts";
import type { TableName } from "../kernel/iptables/model.ts";
import { parseSave, type SavedTable } from "../kernel/iptables/parse-save.ts";
import type { TablePlan } from "../kernel/iptables/table-plan.ts";
import type { IptablesTable } from "../kernel/iptables/tables.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { ipSetPrefixes } from "../kernel/ownership.ts";
import { readSysctl } from "../kernel/sysctl.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import { CalcGraph, calcKinds } from "./calc/calc-graph.ts";
import { calculate } from "./calculate.ts";
import type { FelixConfig } from "./config/felix-config.ts";
import { Dataplane } from "./dataplane/dataplane.ts";
import { hostSysctls } from "./dataplane/host-sysctls.ts";

export interface DryRunPorts {
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  readonly backend: IptablesBackend;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the datastore holds, if it is valid. */
  decode(resource: ResourceOfKind[Kind]): ResourceOfKind[Kind] | null;
}

export interface TableReport {
  readonly table: TableName;
  readonly family: IpFamily;
  /** How many chains of ours are wanted. */
  readonly chains: number;
  readonly plan: TablePlan;
  readonly saved: SavedTable;
}

export interface SysctlReport {
  /** Path under /proc/sys. */
  readonly path: readonly string[];
  readonly present: string;
  readonly wanted: string;
}

/** What felix would do first of all, and what it would leave as it is. */
export interface FelixDryRun {
  readonly changes: readonly KernelChange[];
  /** Routes of ours that are wanted, of both families. */
  readonly routes: number;
  readonly tables: readonly TableReport[];
  readonly sets: readonly {
    readonly family: IpFamily;
    readonly equal: number;
    readonly differences: readonly SetDifference[];
  }[];
  /** All that are wanted. */
  readonly sysctls: readonly SysctlReport[];
  /** What felix could not do. */
  readonly errors: readonly string[];
}

/** Longer than felix spares what is on an interface that it does not know, shorter than it waits for bgp. */
const laterMs = 15_000;

/**
 * The first look of a felix that starts now, and the one some seconds later, by the very code that felix runs, on a
 * kernel that is only read. The datastore is read once.
 */
export async function felixDryRun(
  nodeName: string,
  config: FelixConfig,
  ports: DryRunPorts,
): Promise<FelixDryRun> {
  const kernel = new DryKernel(ports.kernel);
  const sysctls = new Map<string, SysctlReport>();
  const sets = new Map<IpFamily, DryIpSets>();
  const sockets: NetlinkSocket[] = [];
  let shiftMs = 0;
  const clock: Clock = { ...ports.clock, now: () => (ports.clock.now() + shiftMs) as Millis };
  const writeSysctl = (path: readonly string[], wanted: string) => {
    sysctls.set(path.join("/"), { path, present: readSysctl(path), wanted });
  };
  for (const [path, value] of hostSysctls(config)) writeSysctl(path, value);
  const dataplane = new Dataplane(nodeName, readOnlyConfig(config), {
    ...ports,
    kernel,
    clock,
    exec: dryExec(ports.exec),
    openSets: (family) => {
      const { reader, socket } = setReader(family);
      sockets.push(socket);
      const own = new DryIpSets(family, ipSetPrefixes[family], reader);
      sets.set(family, own);
      return own;
    },
    writeSysctl,
  });
  try {
    const graph = await graphOf(nodeName, config, ports);
    dataplane.onUpdates(await calculate(graph, ports.clock));
    const errors = await applied(dataplane);
    shiftMs = laterMs;
    dataplane.resync();
    const later = await applied(dataplane);
    return {
      changes: kernel.changes,
      routes: dataplane.sizes().routes.reduce((sum, { count }) => sum + count, 0),
      tables: await Promise.all(dataplane.ruleTables.map((table) => tableReport(table, ports))),
      sets: [...sets].map(([family, { equal, differences }]) => ({ family, equal, differences })),
      sysctls: [...sysctls.values()],
      errors: [...new Set([...errors, ...later])],
    };
  } finally {
    dataplane.close();
    for (const socket of sockets) socket.close();
  }
}

/** Files and threads of devices are no part of the kernel port: none is written. */
function readOnlyConfig(config: FelixConfig): FelixConfig {
  return {
    ...config,
    endpointStatusFolder: undefined,
    wireguard: { ...config.wireguard, threading: false },
  };
}

function setReader(family: IpFamily): { reader: SetReader; socket: NetlinkSocket } {
  const NETLINK_NETFILTER = 12;
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  return { reader: new IpSetCommands(socket, family), socket };
}

async function graphOf(
  nodeName: string,
  { routeSource }: FelixConfig,
  { datastore, decode, log }: DryRunPorts,
): Promise<CalcGraph> {
  const onInvalid = ({ kind, namespace, name }: ResourceKey, error: unknown) =>
    log.warn({ kind, namespace, name, reason: errorMessage(error) }, "resource ignored");
  const graph = new CalcGraph({ nodeName, routeSource, onInvalid });
  const lists = await Promise.all(calcKinds.map((kind) => datastore.list(kind)));
  for (const resource of lists.flatMap(({ items }) => items as readonly ResourceOfKind[Kind][])) {
    graph.update(keyOf(resource), decode(resource));
  }
  graph.setInSync();
  return graph;
}

/** @returns what failed. */
async function applied(dataplane: Dataplane): Promise<string[]> {
  try {
    await dataplane.apply();
    return [];
  } catch (error) {
    return error instanceof AggregateError ? error.errors.map(errorMessage) : [errorMessage(error)];
  }
}

async function tableReport(
  rules: IptablesTable,
  { backend, exec }: Pick<DryRunPorts, "backend" | "exec">,
): Promise<TableReport> {
  const { table, family, size } = rules;
  const plan = await rules.plan();
  const program = programOf(backend, family, "save");
  const { code, stdout, stderr } = await exec.run(program, ["-t", table]);
  if (code !== 0) throw new Error(`Cannot read IPv${family} table ${table}: ${stderr.trim()}`);
  return { table, family, chains: size.chains, plan, saved: parseSave(stdout, table) };
}
