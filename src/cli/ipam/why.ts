import type { Allocation, Audit, AuditProblem } from "../../ipam/audit.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Arguments } from "../arguments.ts";
import { jsonText } from "../output/serialize.ts";
import { requireAddress } from "./address.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { isJson } from "./json-option.ts";

/** `ipam why`: who has an address, by which handle, and whether it is leaked. */
export async function runWhy(args: Arguments, { io, ipam }: IpamContext): Promise<number> {
  const address = requireAddress(args.words[1], "ADDRESS");
  const asJson = isJson(args, "why");
  const found = await ipam.audit();
  if (asJson) io.stdout.write(jsonText(whyJson(address, found)));
  else for (const line of explain(address, found)) io.stdout.write(`${line}\n`);
  return 0;
}

function whyJson(address: IpAddr, { allocations, users, problems }: Audit): object {
  const allocation = allocations.find((each) => each.address === address);
  return {
    address,
    ...(allocation === undefined ? {} : { allocation }),
    users: users.get(address) ?? [],
    problems: problems.filter((each) => "address" in each && each.address === address),
  };
}

function explain(address: IpAddr, { allocations, users, problems }: Audit): string[] {
  const allocation = allocations.find((each) => each.address === address);
  const names = (users.get(address) ?? []).map(({ name, node }) => `${name} on ${node}`);
  if (allocation === undefined) {
    if (names.length === 0) return [`${address} is free: no block gives it to anybody.`];
    return [
      `${address} is used by ${names.join(" and ")}, but no block gives it to anybody.`,
      "It may be given away a second time: see `ipam check`.",
    ];
  }
  const problem = problems.find((each) => "address" in each && each.address === address);
  return [...holderLines(allocation), ...verdictLines(allocation, names, problem)];
}

function holderLines({
  address,
  block,
  pool,
  handle,
  attributes,
  sequenceNumber,
  borrowedFrom,
  machine,
}: Allocation): string[] {
  const lines = [
    `${address} is allocated in block ${block} of ${pool === undefined ? "no pool" : `pool ${pool}`}.`,
    `  handle           ${handle || "(none)"}`,
    `  sequence number  ${sequenceNumber}`,
    ...Object.entries(attributes).map(([name, value]) => `  ${name.padEnd(17)}${value}`),
    ...(machine === undefined ? [] : [`  virtual machine  ${machine.namespace}/${machine.name}`]),
  ];
  if (borrowedFrom === undefined) return lines;
  const lender =
    borrowedFrom === "" ? "nobody owns the block" : `${borrowedFrom}, whose block it is`;
  return [...lines, `  borrowed from    ${lender}`];
}

function verdictLines(
  { coolingSince, machine }: Allocation,
  names: readonly string[],
  problem: AuditProblem | undefined,
): string[] {
  if (coolingSince !== undefined) {
    return [`It was released at ${coolingSince} and rests before it is given again.`];
  }
  if (names.length === 1) return [`It is used by ${names[0]}.`];
  if (names.length > 1) return [`It is used by ${names.join(" and ")}: only one of them can be.`];
  if (problem?.kind === "leaked" && machine !== undefined) {
    return ["No workload uses it, and its virtual machine is gone: it is leaked."];
  }
  if (problem?.kind === "leaked") {
    return [
      "No workload and no tunnel uses it: it is leaked, unless a pod is being added right now.",
    ];
  }
  if (problem?.kind === "unclear") {
    return [`Nobody is seen to use it, but ${problem.why}: it is not given back by itself.`];
  }
  if (machine !== undefined) {
    return ["No pod has it: its virtual machine is there, and keeps it."];
  }
  return ["Its node keeps it for itself."];
}
