import { writeFile } from "node:fs/promises";
import { type Audit, type AuditProblem, problemText } from "../../ipam/audit.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import { clusterSpec } from "./cluster-spec.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { reportOf } from "./report.ts";

/** `ipam check`. @returns 1 when anything is wrong. */
export async function runCheck(args: Arguments, context: IpamContext): Promise<number> {
  const { io, ipam } = context;
  const write = (line: string) => io.stdout.write(`${line}\n`);
  write("Checking IPAM for inconsistencies...\n");
  const found = await ipam.audit();
  const { allocations, users, problems } = found;
  const blocks = new Set(allocations.map(({ block }) => block));
  write(`IPAM blocks record ${allocations.length} allocations in ${blocks.size} blocks.`);
  write(`Workloads and nodes are using ${users.size} IPs.`);
  if (args.has("show-all-ips")) for (const line of allIps(found)) write(`  ${line}`);
  for (const [kind, words] of sections) {
    const ofKind = problems.filter((problem) => problem.kind === kind);
    write(`Found ${ofKind.length} ${words}.`);
    if (!args.has("show-problem-ips") && !args.has("show-all-ips")) continue;
    for (const problem of ofKind) write(`  ${problemText(problem)}`);
  }
  write(`\nCheck complete; found ${problems.length} problems.`);
  if (problems.length > 0 && !args.has("show-problem-ips")) {
    write("See them with --show-problem-ips; one address with `ipam why ADDRESS`.");
  }
  const path = args.value("output");
  if (path !== undefined) await writeReport(path, found, context);
  return problems.length > 0 ? 1 : 0;
}

const sections: readonly (readonly [AuditProblem["kind"], string])[] = [
  ["leaked", "IPs that are allocated in IPAM but not actually in use"],
  ["unclear", "IPs that are allocated in IPAM, and may or may not be in use"],
  ["outside-pools", "in-use IPs that are not in active IP pools"],
  ["unallocated", "in-use IPs that are in active IP pools but have no IPAM allocation"],
  ["shared", "IPs that are used more than once"],
  ["block-without-pool", "blocks of no IP pool"],
  ["handle-count", "handles that count other addresses than they have"],
];

function allIps({ allocations, users }: Audit): string[] {
  const given = allocations.map(({ address, handle, users: of, coolingSince }) => {
    if (coolingSince !== undefined) return `${address} rests since ${coolingSince}`;
    const names = of.map(({ name }) => name).join(" and ") || "nobody";
    return `${address} in use by ${names}; handle "${handle}"`;
  });
  const known = new Set(allocations.map(({ address }) => address));
  const others = [...users]
    .filter(([address]) => !known.has(address))
    .map(([address, of]) => `${address} in use by ${of.map(({ name }) => name).join(" and ")}`);
  return [...given, ...others];
}

async function writeReport(path: string, found: Audit, context: IpamContext): Promise<void> {
  const { calicoVersion = "", clusterGUID = "" } = await clusterSpec(context);
  const cluster = { version: calicoVersion, clusterGUID };
  const text = JSON.stringify(reportOf(found, cluster), null, 2);
  try {
    await writeFile(path, `${text}\n`);
  } catch (error) {
    throw new InputError(`Cannot write the report ${path}: ${errorMessage(error)}`);
  }
}
