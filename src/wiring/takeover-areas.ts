import { bgpDryRun } from "../bgp/dry-run.ts";
import { localSources } from "../felix/config/config-file.ts";
import { type FelixConfig, felixConfig } from "../felix/config/felix-config.ts";
import { loadedTables } from "../felix/dataplane/leftovers.ts";
import { type FelixDryRun, felixDryRun } from "../felix/dry-run.ts";
import { detectBackend, type IptablesBackend, withFeatures } from "../kernel/iptables/backend.ts";
import { tableNames } from "../kernel/iptables/model.ts";
import { isEmptyPlan } from "../kernel/iptables/table-plan.ts";
import { IptablesTable } from "../kernel/iptables/tables.ts";
import type { FdbEntry, Kernel, KernelLink, WireguardDevice } from "../kernel/kernel.ts";
import { mainTable, routeProtocol, vxlanDevice, vxlanDeviceV6 } from "../kernel/ownership.ts";
import { InputError } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import { childrenOf } from "../node/node-service.ts";
import type { Area, Finding } from "../takeover/finding.ts";
import { judgeDevices } from "../takeover/judge-devices.ts";
import { judgeForwarding, judgeNeighbors, judgeRules } from "../takeover/judge-neighbors.ts";
import { judgeRoutes } from "../takeover/judge-routes.ts";
import { judgeSets } from "../takeover/judge-sets.ts";
import { judgeSysctls } from "../takeover/judge-sysctls.ts";
import { judgeTable } from "../takeover/judge-table.ts";
import { acceptStored } from "./decode.ts";
import { StoredLayers } from "./stored-layers.ts";
import { hostAreas } from "./takeover-host.ts";
import { attempt, noting, type TakeoverPorts } from "./takeover-ports.ts";

/** What of the kernel is judged against. */
interface Before {
  readonly links: readonly KernelLink[];
  readonly names: ReadonlyMap<number, string>;
}

/** Compares all of a node that tortie would take over with what it would make of it. Writes nothing. */
export async function takeoverAreas(ports: TakeoverPorts): Promise<readonly Area[]> {
  const children = childrenOf(ports.env, ports.nodeName, { program: "", args: [] });
  const runs = new Set(children.map(({ name }) => name));
  return [
    ...(runs.has("felix") ? await attempt("felix", () => felixAreas(ports)) : []),
    ...(await attempt("routes of bgp", () =>
      runs.has("bgp") ? bgpAreas(ports) : unspokenAreas(ports),
    )),
    ...(await hostAreas(ports)),
  ];
}

async function felixAreas(ports: TakeoverPorts): Promise<readonly Area[]> {
  const { nodeName, kernel, exec, ipv6 } = ports;
  const config = await configOf(ports);
  const detected = await detectBackend(exec, config.iptablesBackend);
  const backend = withFeatures(detected, config.iptablesFeatures);
  const others = await otherBackend(backend, { exec, ipv6 });
  const notes: string[] = [...config.problems];
  const log = noting(notes);
  const before = await lookAround(kernel);
  const dry = await felixDryRun(nodeName, config, {
    ...ports,
    backend,
    log,
    decode: acceptStored(log),
  });
  const otherEnforces = others.findings.length > 0;
  const isQuiet = notes.length + dry.errors.length === 0;
  return [
    ...(isQuiet ? [] : [{ name: "felix", equal: 0, findings: [], notes, ...errorOf(dry) }]),
    ...dry.tables.map((table) => judgeTable(table, backend.kind, otherEnforces)),
    others,
    ...(config.ipv6Support ? [] : await withoutIpv6(backend, ports)),
    ...dry.sets.map(judgeSets),
    ...(await kernelAreas(dry, before, kernel, config)),
    judgeSysctls(dry.sysctls),
  ];
}

async function configOf({ nodeName, env, datastore }: TakeoverPorts): Promise<FelixConfig> {
  const stored = new StoredLayers(nodeName);
  for (const kind of StoredLayers.kinds) {
    const { items } = await datastore.list(kind);
    stored.learn(items.map((value) => ({ key: { kind, name: value.metadata.name }, value })));
  }
  return felixConfig({ ...stored.layers, ...localSources(env) });
}

function errorOf({ errors }: FelixDryRun): { readonly error?: string } {
  return errors.length === 0 ? {} : { error: errors.join("; ") };
}

/** Rules of ours in the tables that felix would not use: they go when those that count are there. */
async function otherBackend(
  { kind }: IptablesBackend,
  { exec, ipv6 }: Pick<TakeoverPorts, "exec" | "ipv6">,
): Promise<Area> {
  const wanted = kind === "nft" ? "legacy" : "nft";
  const name = `iptables ${wanted}, which felix would not use`;
  const backend = await installedBackend(wanted, exec);
  if (backend === undefined) return { name, equal: 0, findings: [], notes: ["not installed"] };
  const tables = await tablesWithOurs(backend, ipv6 ? [4, 6] : [4], exec);
  const why = "both backends see each packet: these go when those are there that count";
  return { name, equal: 0, findings: tables.map((what) => goneRules(what, false, why)), notes: [] };
}

/** felix takes away its rules of IPv6 when it is not to look after them. */
async function withoutIpv6(
  backend: IptablesBackend,
  { exec, ipv6 }: Pick<TakeoverPorts, "exec" | "ipv6">,
): Promise<readonly Area[]> {
  const tables = ipv6 ? await tablesWithOurs(backend, [6], exec) : [];
  if (tables.length === 0) return [];
  const why = "ipv6Support is false: policy and translation of IPv6 would end";
  const findings = tables.map((what) => goneRules(what, true, why));
  return [{ name: "iptables IPv6, without ipv6Support", equal: 0, findings, notes: [] }];
}

/** "the table filter of IPv4": those with rules or chains of felix. */
async function tablesWithOurs(
  backend: IptablesBackend,
  families: readonly IpFamily[],
  exec: TakeoverPorts["exec"],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const family of families) {
    for (const table of backend.kind === "legacy" ? loadedTables(family) : tableNames) {
      const plan = await new IptablesTable({ table, family, backend }, { exec }).plan();
      if (!isEmptyPlan(plan)) found.push(`the table ${table} of IPv${family}`);
    }
  }
  return found;
}

function goneRules(table: string, interrupts: boolean, why: string): Finding {
  return { change: "removed", what: `felix's rules in ${table}`, interrupts, why };
}

async function installedBackend(
  kind: "nft" | "legacy",
  exec: TakeoverPorts["exec"],
): Promise<IptablesBackend | undefined> {
  try {
    return await detectBackend(exec, kind);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

async function lookAround(kernel: Kernel): Promise<Before> {
  const links = await kernel.links.list();
  return { links, names: new Map(links.map(({ ifindex, name }) => [ifindex, name])) };
}

async function kernelAreas(
  dry: FelixDryRun,
  { links, names: present }: Before,
  kernel: Kernel,
  config: FelixConfig,
): Promise<readonly Area[]> {
  const { changes } = dry;
  const made = changes.flatMap((change) =>
    change.kind === "link" && change.op === "add"
      ? [[change.link.ifindex, change.link.name] as const]
      : [],
  );
  const names = new Map([...present, ...made]);
  const indexes = (chosen: (link: KernelLink) => boolean) =>
    links.filter(chosen).map(({ ifindex }) => ifindex);
  const isVxlan = ({ name }: KernelLink) => [vxlanDevice, vxlanDeviceV6].includes(name);
  const fdb = await Promise.all(indexes(isVxlan).map((ifindex) => kernel.fdb.list(ifindex)));
  const entries: readonly FdbEntry[] = fdb.flat();
  const neighbors = (await kernel.neighbors.list()).filter(({ ifindex, state }) => {
    const name = names.get(ifindex) ?? "";
    const isOurs = name.endsWith(".calico") || startsWithAny(name, config.interfacePrefixes);
    return state === "permanent" && isOurs;
  });
  const devices = new Map<number, WireguardDevice>();
  for (const ifindex of indexes(({ type }) => type === "wireguard")) {
    const device = await kernel.wireguard.get(ifindex);
    if (device !== undefined) devices.set(ifindex, device);
  }
  const routes = judgeRoutes(changes, await kernel.routes.list(), names);
  const set = changes.filter((one) => one.kind === "route" && one.op === "set");
  const ofMain = set.filter((one) => one.kind === "route" && one.route.table === mainTable).length;
  const tunnels = links.filter(({ name }) => isTunnel(name)).length;
  return [
    areaOf("routes of felix", dry.routes - ofMain, routes),
    areaOf("routing rules", 0, judgeRules(changes)),
    areaOf("neighbors", neighbors.length, judgeNeighbors(changes, neighbors, names)),
    areaOf("forwarding entries", entries.length, judgeForwarding(changes, entries, names)),
    areaOf("devices", tunnels, judgeDevices(changes, devices, names)),
  ];
}

/** `present`: things that are there, of which those that change are not equal; of routes those that are wanted. */
function areaOf(name: string, present: number, findings: readonly Finding[]): Area {
  const isOfRoutes = name.startsWith("routes");
  const changed = isOfRoutes ? 0 : findings.filter(({ change }) => change !== "added").length;
  return { name, equal: Math.max(0, present - changed), findings, notes: [] };
}

function startsWithAny(name: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => name.startsWith(prefix));
}

function isTunnel(name: string): boolean {
  return (
    name === "tunl0" || /^(vxlan|vxlan-v6)\.calico$|^wg-v6\.cali$|^wireguard\.cali$/.test(name)
  );
}

async function bgpAreas(ports: TakeoverPorts): Promise<readonly Area[]> {
  const { nodeName, env, kernel } = ports;
  const notes: string[] = [];
  const log = noting(notes);
  // A peer that is ignored or cannot be used has no session, which nothing in the kernel tells of.
  const unread: string[] = [];
  const decode = acceptStored(noting(unread));
  const dry = await bgpDryRun(nodeName, env, { ...ports, log, decode });
  const { names } = await lookAround(kernel);
  const findings = judgeRoutes(dry.changes, await kernel.routes.list({ table: mainTable }), names);
  const kept = dry.present.length - findings.filter(({ change }) => change !== "added").length;
  if (dry.config === undefined) {
    notes.push(
      "the node has no BGP address: no speaker would speak, and routes of protocol 12 stay",
    );
  } else if (kept > 0) {
    const peers = dry.config.peers.length;
    notes.push(
      `routes of protocol 12 that stay until ${peers} peers have told theirs again (graceful restart): ${kept}`,
    );
  }
  unread.push(...dry.unread);
  const error = unread.length === 0 ? {} : { error: unread.join("; ") };
  return [{ name: "routes of bgp", equal: Math.max(0, kept), findings, notes, ...error }];
}

/** Where no speaker would run: what one has left says that sessions would end. */
async function unspokenAreas({ kernel }: TakeoverPorts): Promise<readonly Area[]> {
  const { length } = await kernel.routes.list({ table: mainTable, protocol: routeProtocol.bird });
  if (length === 0) return [];
  const finding: Finding = {
    change: "replaced",
    what: `who looks after ${length} routes of protocol 12`,
    interrupts: true,
    why: "CALICO_NETWORKING_BACKEND lets no speaker run here: these stay as they are, and no peer is told of this node's pods",
  };
  return [{ name: "routes of bgp", equal: length, findings: [finding], notes: [] }];
}
