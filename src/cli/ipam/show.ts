import { notAllocatable } from "../../api/pool-condition.ts";
import type { IPAMConfigurationSpec } from "../../api/resources/ipam.ts";
import { isDatastoreError } from "../../datastore/datastore.ts";
import type { Allocation } from "../../ipam/audit.ts";
import type { PoolUtilization } from "../../ipam/utilization.ts";
import { compareText } from "../../lib/collections.ts";
import type { Arguments } from "../arguments.ts";
import { jsonText } from "../output/serialize.ts";
import { tableText } from "../output/table.ts";
import { requireAddress } from "./address.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { isJson } from "./json-option.ts";

/** `ipam show` with calicoctl's columns (facts C). */
export async function runShow(args: Arguments, context: IpamContext): Promise<number> {
  const { io, ipam } = context;
  const ip = args.value("ip");
  if (isJson(args, "show")) {
    io.stdout.write(jsonText(await shownAsJson(args, context)));
    return 0;
  }
  if (ip !== undefined) return showAddress(ip, context);
  if (args.has("show-configuration")) {
    io.stdout.write(tableText(configurationRows(await configurationOf(context))));
  } else if (args.has("show-borrowed")) {
    await showBorrowed(context);
  } else {
    const withBlocks = args.has("show-blocks");
    io.stdout.write(tableText(utilizationRows(await ipam.utilization(), withBlocks)));
    io.stdout.write(await closedPools(context));
  }
  return 0;
}

/** Notes on the pools that the cluster takes no addresses from. */
async function closedPools({ datastore }: IpamContext): Promise<string> {
  const { items } = await (await datastore()).list("IPPool");
  return items
    .map((pool) => ({ name: pool.metadata.name, why: notAllocatable(pool) }))
    .filter(({ why }) => why !== undefined)
    .map(({ name, why }) => `\nNote: IPPool ${name} is not allocatable: ${why}.\n`)
    .join("");
}

/** What the table or the lines would say. */
async function shownAsJson(args: Arguments, context: IpamContext): Promise<object> {
  const { ipam } = context;
  if (args.has("ip")) {
    const address = requireAddress(args.value("ip"), "--ip");
    const holder = await ipam.holderOf(address);
    return { address, assigned: holder !== undefined, ...holder };
  }
  if (args.has("show-configuration")) return configurationOf(context);
  if (args.has("show-borrowed")) {
    const { allocations } = await ipam.audit();
    return allocations.filter(({ borrowedFrom }) => borrowedFrom !== undefined);
  }
  const pools = await ipam.utilization();
  return args.has("show-blocks") ? pools : pools.map(({ blocks: _blocks, ...pool }) => pool);
}

async function showAddress(text: string, { io, ipam }: IpamContext): Promise<number> {
  const address = requireAddress(text, "--ip");
  const holder = await ipam.holderOf(address);
  if (holder === undefined) {
    io.stdout.write(`${address} is not assigned\n`);
    return 0;
  }
  io.stdout.write(`IP ${address} is in use\nHandle ID: ${holder.handle || "<none>"}\n`);
  const active = attributesText("Active Owner Attributes", holder.attributes);
  io.stdout.write(active || "No Active Owner attributes defined\n");
  io.stdout.write(attributesText("Alternate Owner Attributes", holder.alternateOwner));
  return 0;
}

function attributesText(title: string, attributes: Readonly<Record<string, string>>): string {
  const lines = Object.entries(attributes)
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, value]) => `  ${name}: ${value}\n`);
  return lines.length === 0 ? "" : `${title}:\n${lines.join("")}`;
}

async function showBorrowed({ io, ipam }: IpamContext): Promise<void> {
  const { allocations } = await ipam.audit();
  io.stdout.write(tableText(borrowedRows(allocations)));
  const unknown = allocations.filter(
    ({ attributes, coolingSince }) =>
      attributes["node"] === undefined && coolingSince === undefined,
  );
  if (unknown.length === 0) return;
  io.stdout.write(
    `\nNote: found ${unknown.length} IP allocations without an explicit node association. Unable to determine if they are borrowed.\n`,
  );
}

export async function configurationOf({
  datastore,
}: Pick<IpamContext, "datastore">): Promise<IPAMConfigurationSpec> {
  try {
    const store = await datastore();
    return (await store.get({ kind: "IPAMConfiguration", name: "default" })).spec;
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}

function configurationRows(spec: IPAMConfigurationSpec): string[][] {
  const { strictAffinity = false, autoAllocateBlocks = true, maxBlocksPerHost = 0 } = spec;
  return [
    ["PROPERTY", "VALUE"],
    ["StrictAffinity", String(strictAffinity)],
    ["AutoAllocateBlocks", String(autoAllocateBlocks)],
    ["MaxBlocksPerHost", String(maxBlocksPerHost)],
    ["KubeVirtVMAddressPersistence", spec.kubeVirtVMAddressPersistence ?? "Enabled"],
    ["IPCooldownSeconds", String(spec.ipCooldownSeconds ?? 0)],
  ];
}

function borrowedRows(allocations: readonly Allocation[]): string[][] {
  return [
    ["IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO"],
    ...allocations
      .filter(({ borrowedFrom }) => borrowedFrom !== undefined)
      .map(({ address, attributes, block, borrowedFrom = "" }) => [
        address,
        attributes["node"] ?? "",
        block,
        borrowedFrom,
        ...holderOf(attributes),
      ]),
  ];
}

/** TYPE and ALLOCATED-TO. */
function holderOf(attributes: Readonly<Record<string, string>>): [type: string, name: string] {
  const { pod, namespace, type = "" } = attributes;
  const machine = attributes["vmi-name"];
  if (machine !== undefined) return ["vmi", `${namespace}/${machine}`];
  return pod === undefined ? [type, ""] : ["pod", `${namespace}/${pod}`];
}

function utilizationRows(pools: readonly PoolUtilization[], withBlocks: boolean): string[][] {
  const rows = [["GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE"]];
  for (const { cidr, blocks, ...pool } of pools) {
    rows.push(["IP Pool", cidr ?? "(none)", ...counts(pool)]);
    if (!withBlocks) continue;
    for (const { cidr: block, capacity, inUse, reserved, available } of blocks) {
      const numbers = { capacity: BigInt(capacity), reserved: BigInt(reserved) };
      rows.push(["Block", block, ...counts({ ...numbers, inUse, available: BigInt(available) })]);
    }
  }
  return rows;
}

function counts(of: {
  readonly capacity: bigint;
  readonly inUse: number;
  readonly reserved: bigint;
  readonly available: bigint;
}): string[] {
  const share = (count: bigint) => {
    const percent = of.capacity === 0n ? 0n : (count * 200n + of.capacity) / (of.capacity * 2n);
    return `${count} (${percent}%)`;
  };
  return [String(of.capacity), share(BigInt(of.inUse)), String(of.reserved), share(of.available)];
}
