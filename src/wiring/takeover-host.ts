import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BlockAffinity } from "../api/resources/ipam.ts";
import type { Node } from "../api/resources/node.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { conflistOf } from "../cni/install/conflist.ts";
import { installConfig } from "../cni/install/install-config.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import { type AuditProblem, audit, problemText } from "../ipam/audit.ts";
import { affineNode } from "../ipam/block-affinity.ts";
import type { StoredBlock } from "../ipam/ipam-records.ts";
import { poolsOf } from "../ipam/pools.ts";
import type { KernelLink } from "../kernel/kernel.ts";
import { workloadInterfacePrefix } from "../kernel/ownership.ts";
import { parsePrefix } from "../lib/prefix.ts";
import { felixValues } from "../node/felix-values.ts";
import { hostInterfaces } from "../node/host-interfaces.ts";
import { hostMtu, mtuFile, podMtu } from "../node/mtu.ts";
import { refreshNode } from "../node/startup.ts";
import { storedInputs } from "../node/stored-inputs.ts";
import { udpTunnelFamily } from "../node/udp-tunnel/udp-tunnel-child.ts";
import type { Area, Finding } from "../takeover/finding.ts";
import { agentsNotes } from "../takeover/running-agents.ts";
import { attempt, noting, type TakeoverPorts } from "./takeover-ports.ts";

/** What is not felix's and not bgp's: the node's object, files, addresses, and who runs here now. */
export async function hostAreas(ports: TakeoverPorts): Promise<readonly Area[]> {
  return [
    ...(await attempt("Node object", () => nodeArea(ports))),
    ...(await attempt("MTU file", () => mtuArea(ports))),
    ...(await attempt("CNI files", async () => cniArea(ports))),
    ...(await attempt("addresses", () => addressArea(ports))),
    ...(await attempt("processes", async () => [areaWith("processes", { notes: agentsNotes() })])),
  ];
}

function areaWith(name: string, found: Partial<Area>): Area {
  return { name, equal: 0, findings: [], notes: [], ...found };
}

/** What start-up would write into the Node object, by start-up's own code. */
async function nodeArea(ports: TakeoverPorts): Promise<readonly Area[]> {
  const { nodeName, env, datastore, kernel, clock, ipv6 } = ports;
  const key = { kind: "Node", name: nodeName } as const;
  const present = await unlessAbsent(datastore.get(key));
  const notes: string[] = [];
  let written: Node | undefined;
  const take = async (resource: unknown) => {
    written = resource as Node;
    return resource as never;
  };
  const dry: Datastore = {
    get: (one) => datastore.get(one),
    list: (kind, options) => datastore.list(kind, options),
    create: take,
    update: take,
    delete: () => Promise.reject(new Error("Cannot delete: the datastore is only read")),
    watch: (...args) => datastore.watch(...args),
    close: async () => undefined,
  };
  const random = (count: number) => new Uint8Array(count);
  const log = noting(notes);
  const startup = { datastore: dry, kernel, clock, log, random, version: "", ipv6 };
  await refreshNode(env, nodeName, startup);
  const findings = written === undefined ? [] : judgeNode(present, written);
  return [areaWith("Node object", { equal: written === undefined ? 1 : 0, findings, notes })];
}

function judgeNode(present: Node | undefined, written: Node): Finding[] {
  const { name } = written.metadata;
  if (present === undefined) {
    const why = "the datastore does not know this node: is NODENAME right?";
    return [{ change: "added", what: `Node ${name}`, interrupts: true, why }];
  }
  const fields = ["ipv4Address", "ipv6Address", "asNumber"] as const;
  const changed = fields.flatMap((field): Finding[] => {
    const [was, is] = [present.spec.bgp?.[field], written.spec.bgp?.[field]];
    if (was === is) return [];
    const what = `${field} ${was ?? "none"} of Node ${name} by ${is ?? "none"}`;
    const why = "other nodes know it by that, and their sessions and tunnels with it begin anew";
    return [{ change: "replaced", what, interrupts: was !== undefined, why }];
  });
  if (changed.length > 0) return changed;
  const why = "no address and no AS number changes";
  return [
    { change: "replaced", what: `facts of the host in Node ${name}`, interrupts: false, why },
  ];
}

async function mtuArea(ports: TakeoverPorts): Promise<readonly Area[]> {
  const { nodeName, env, datastore, kernel } = ports;
  const { pools, configurations } = await storedInputs(datastore);
  const values = await felixValues(env, nodeName, { configurations, datastore });
  const host = hostMtu(values.mtuIfacePattern, await hostInterfaces(kernel));
  const file = mtuFile(env);
  const present = readIfThere(file)?.trim();
  if (host === undefined) {
    const notes = ["no uplink matches mtuIfacePattern: the MTU of new pods would be a guess"];
    return [areaWith("MTU file", { notes })];
  }
  const udpFamily = await udpTunnelFamily(pools, nodeName, datastore);
  const wanted = `${podMtu(host, pools, { values, udpFamily })}`;
  if (present === wanted) return [areaWith("MTU file", { equal: 1 })];
  const finding: Finding = {
    change: present === undefined ? "added" : "replaced",
    what: present === undefined ? `${file} with ${wanted}` : `${file}: ${present} by ${wanted}`,
    interrupts: false,
    why: "new pods have it; those that run keep theirs",
  };
  return [areaWith("MTU file", { findings: [finding] })];
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function cniArea({ env, nodeName }: TakeoverPorts): readonly Area[] {
  const config = installConfig(env, nodeName);
  const file = join(config.netFolder, config.confName);
  const present = readIfThere(file);
  const wanted = conflistOf(config.template, config.templateValues, present);
  const findings: Finding[] = [];
  if (present === undefined) {
    findings.push({ change: "added", what: file, interrupts: false, why: "it is not there now" });
  } else if (present !== wanted) {
    const why =
      "by a rename: runtimes see the old file or the new one; plugins of others in the chain stay";
    findings.push({ change: "replaced", what: file, interrupts: false, why });
  }
  for (const name of ["calico", "calico-ipam"]) {
    const plugin = join(config.binFolder, name);
    if (config.skip.has(name)) continue;
    const change = existsSync(plugin) ? "replaced" : "added";
    const why =
      "by a rename: a pod that is added meanwhile is added by the old plugin or by the new one";
    findings.push({ change, what: plugin, interrupts: false, why });
  }
  const credentials = join(config.netFolder, "calico-kubeconfig");
  if (existsSync(credentials)) {
    const why =
      "the agent has the credentials; Calico's install-cni writes it again on the way back";
    findings.push({ change: "removed", what: credentials, interrupts: false, why });
  }
  return [areaWith("CNI files", { equal: present === wanted ? 1 : 0, findings })];
}

/** Blocks and handles of this node, its endpoints and their interfaces: taken over as they are. */
async function addressArea(ports: TakeoverPorts): Promise<readonly Area[]> {
  const { nodeName, datastore, kernel } = ports;
  const [pools, listed, affinities, endpoints, nodes] = await Promise.all([
    datastore.list("IPPool"),
    datastore.list("IPAMBlock"),
    datastore.list("BlockAffinity", { node: nodeName }),
    datastore.list("WorkloadEndpoint"),
    datastore.list("Node"),
  ]);
  const blocks = listed.items
    .filter(({ spec }) => spec.deleted !== true)
    .map((resource) => ({ cidr: parsePrefix(resource.spec.cidr), resource, spec: resource.spec }));
  // Handles count what blocks say: a node's account may not list them.
  const { allocations, users, problems } = audit({
    pools: poolsOf(pools.items),
    blocks,
    handles: [],
    endpoints: endpoints.items,
    nodes: nodes.items,
  });
  const own = blocks.filter(({ spec }) => affineNode(spec.affinity) === nodeName);
  const here = allocations.filter(({ attributes }) => attributes["node"] === nodeName);
  const given = new Set<string>(here.map(({ address }) => address));
  const names = new Set(
    [...users.values()].flat().flatMap(({ name, node }) => (node === nodeName ? [name] : [])),
  );
  const isHere = (problem: AuditProblem) =>
    ("users" in problem && problem.users.some((user) => names.has(user))) ||
    (problem.kind !== "handle-count" && "address" in problem && given.has(problem.address));
  const notes = [
    ...problems.filter(isHere).map(problemText),
    ...affinityNotes(affinities.items, { nodeName, blocks: own }),
    ...interfaceNotes(endpoints.items, { nodeName, links: await kernel.links.list() }),
  ];
  return [areaWith("addresses", { equal: own.length + here.length, notes })];
}

function affinityNotes(
  affinities: readonly BlockAffinity[],
  { nodeName, blocks }: { readonly nodeName: string; readonly blocks: readonly StoredBlock[] },
): string[] {
  const cidrs = new Set<string>(blocks.map(({ cidr }) => cidr));
  return affinities
    .filter(({ spec }) => spec.node === nodeName && !cidrs.has(spec.cidr))
    .map(({ spec }) => `the affinity of ${spec.cidr} (${spec.state}) has no block of this node`);
}

function interfaceNotes(
  endpoints: readonly WorkloadEndpoint[],
  { nodeName, links }: { readonly nodeName: string; readonly links: readonly KernelLink[] },
): string[] {
  const own = endpoints.filter(({ spec }) => spec.node === nodeName);
  const wanted = new Map(own.map(({ metadata, spec }) => [spec.interfaceName ?? "", metadata]));
  const present = new Set(links.map(({ name }) => name));
  const lacking = [...wanted]
    .filter(([name]) => !present.has(name))
    .map(
      ([name, { namespace, name: id }]) => `endpoint ${namespace}/${id} has no interface ${name}`,
    );
  const unknown = links
    .filter(({ name, type }) => type === "veth" && name.startsWith(workloadInterfacePrefix))
    .filter(({ name }) => !wanted.has(name))
    .map(
      ({ name }) => `interface ${name} is no endpoint's: its packets are dropped, before and after`,
    );
  return [...lacking, ...unknown];
}
