import type { ExecHelper } from "../../kernel/exec-helper.ts";
import { detectBackend, type IptablesBackend } from "../../kernel/iptables/backend.ts";
import { tableNames } from "../../kernel/iptables/model.ts";
import { IptablesTable } from "../../kernel/iptables/tables.ts";
import type { Kernel, KernelLink, RoutingRule } from "../../kernel/kernel.ts";
import {
  ip6ip6Device,
  ipipDevice,
  ipSetPrefixes,
  mainTable,
  routeProtocol,
  sitDevice,
  udpDevice,
  vxlanDevice,
  vxlanDeviceV6,
  workloadInterfacePrefix,
} from "../../kernel/ownership.ts";
import { InputError } from "../../lib/errors.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { ParameterValues } from "../config/values.ts";
import { loadedTables, sweepSets } from "./leftovers.ts";
import { ifbPrefix } from "./token-bucket.ts";

export interface CleanupPorts {
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
}

/** Names and numbers by which this machine's configuration knows what is ours. */
export type CleanupValues = Pick<
  ParameterValues,
  "wireguardInterfaceName" | "wireguardInterfaceNameV6" | "wireguardRoutingRulePriority"
>;

/** One thing that a node has put into the kernel. */
export interface CleanupStep {
  /** In words, for who wants to know first. */
  readonly what: string;
  run(): Promise<void>;
}

/**
 * All that a node of tortie or Calico has put into this namespace's kernel, in the order in which it goes: what
 * leads packets astray first, then devices, and policy last, so that no pod is ever reached without it. Nothing is
 * changed by asking.
 */
export async function cleanupSteps(
  values: CleanupValues,
  ports: CleanupPorts,
): Promise<CleanupStep[]> {
  return [
    ...(await ruleSteps(values, ports)),
    ...(await routeSteps(ports)),
    ...(await linkSteps(values, ports)),
    ...(await tableSteps(ports)),
    ...(await setSteps(ports)),
  ];
}

async function tableSteps({ exec, ipv6 }: CleanupPorts): Promise<CleanupStep[]> {
  const steps: CleanupStep[] = [];
  for (const backend of await backends(exec)) {
    for (const family of families(ipv6)) {
      for (const table of backend.kind === "legacy" ? loadedTables(family) : tableNames) {
        const rules = new IptablesTable({ table, family, backend }, { exec });
        const { write, remove } = await rules.plan();
        if (write.length + remove.length === 0) continue;
        steps.push({
          what: `IPv${family} rules and chains of ours in table ${table} (iptables ${backend.kind})`,
          run: async () => void (await rules.apply()),
        });
      }
    }
  }
  return steps;
}

async function backends(exec: ExecHelper): Promise<IptablesBackend[]> {
  const found: IptablesBackend[] = [];
  for (const kind of ["nft", "legacy"] as const) {
    try {
      found.push(await detectBackend(exec, kind));
    } catch (error) {
      // Its programs are not installed.
      if (!(error instanceof InputError)) throw error;
    }
  }
  return found;
}

async function setSteps({ exec, ipv6 }: CleanupPorts): Promise<CleanupStep[]> {
  const { code, stdout, stderr } = await exec.run("ipset", ["list", "-n"]);
  if (code !== 0) throw new Error(`Cannot list IP sets: ${stderr.trim()}`);
  const names = stdout.split("\n");
  return families(ipv6).flatMap((family) => {
    const own = names.filter((name) => name.startsWith(ipSetPrefixes[family]));
    if (own.length === 0) return [];
    return [{ what: `IPv${family} sets: ${own.join(", ")}`, run: () => sweepSets(family) }];
  });
}

/** "default", "main" and "local": no node has one of these for itself. */
const kernelTables: ReadonlySet<number> = new Set([253, mainTable, 255]);

/** WireGuard's: a rule at our place that leads into a table of its own, and what is in that table. */
async function ruleSteps(
  { wireguardRoutingRulePriority: priority }: CleanupValues,
  { kernel, ipv6 }: CleanupPorts,
): Promise<CleanupStep[]> {
  const steps: CleanupStep[] = [];
  const isOurs = ({ priority: place, invert, table }: RoutingRule) =>
    place === priority && invert === true && !kernelTables.has(table);
  for (const family of families(ipv6)) {
    for (const rule of (await kernel.rules.list(family)).filter(isOurs)) {
      const routes = await kernel.routes.list({ family, table: rule.table });
      steps.push({
        what: `IPv${family} routing rule ${priority} to table ${rule.table}, and ${routes.length} routes there`,
        run: async () => {
          await kernel.rules.remove(rule);
          orThrow(await kernel.routes.remove(routes));
        },
      });
    }
  }
  return steps;
}

async function routeSteps({ kernel }: CleanupPorts): Promise<CleanupStep[]> {
  const steps: CleanupStep[] = [];
  for (const protocol of [routeProtocol.bird, routeProtocol.felix]) {
    const routes = await kernel.routes.list({ protocol });
    if (routes.length === 0) continue;
    const some = routes.slice(0, 3).map(({ destination }) => destination);
    const more = routes.length > some.length ? ", ..." : "";
    steps.push({
      what: `${routes.length} routes of protocol ${protocol}: ${some.join(", ")}${more}`,
      run: async () => orThrow(await kernel.routes.remove(routes)),
    });
  }
  return steps;
}

async function linkSteps(values: CleanupValues, { kernel }: CleanupPorts): Promise<CleanupStep[]> {
  const tunnels = new Set([
    vxlanDevice,
    vxlanDeviceV6,
    values.wireguardInterfaceName,
    values.wireguardInterfaceNameV6,
  ]);
  const isOurs = ({ name, type }: KernelLink) =>
    tunnels.has(name) ||
    (name === udpDevice && type === "tun") ||
    (name === ip6ip6Device && type === "ip6tnl") ||
    (name === sitDevice && type === "sit") ||
    (name.startsWith(workloadInterfacePrefix) && type === "veth") ||
    (name.startsWith(ifbPrefix) && type === "ifb");
  const links = await kernel.links.list();
  const removed = links.filter(isOurs).map((link) => ({
    what: `device ${link.name}`,
    run: () => kernel.links.remove(link.ifindex),
  }));
  const ipip = links.find(({ name }) => name === ipipDevice);
  return ipip === undefined ? removed : [...removed, ...(await ipipSteps(ipip, kernel))];
}

/** The kernel's own: it stays as long as the module. */
async function ipipSteps(
  { ifindex, name, up }: KernelLink,
  kernel: Kernel,
): Promise<CleanupStep[]> {
  const addresses = (await kernel.addresses.list({ ifindex })).filter(
    ({ address }) => ipFamily(address) === 4,
  );
  if (addresses.length === 0 && !up) return [];
  const run = async () => {
    for (const address of addresses) await kernel.addresses.remove(address);
    await kernel.links.set(ifindex, { up: false });
  };
  const texts = addresses.map(({ address, length }) => `${address}/${length}`).join(", ");
  return [{ what: `address ${texts || "none"} of ${name}, which is set down`, run }];
}

function families(ipv6: boolean): readonly IpFamily[] {
  return ipv6 ? [4, 6] : [4];
}

function orThrow(failures: readonly { readonly message: string }[]): void {
  const [first] = failures;
  if (first !== undefined) throw new Error(`Cannot remove a route: ${first.message}`);
}
