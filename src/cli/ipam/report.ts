import { readFile } from "node:fs/promises";
import type { Audit } from "../../ipam/audit.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import { type IpAddr, isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";

/** What `ipam check -o` writes and `ipam release --from-report` reads. Sequence numbers are text. */
export interface IpamReport {
  readonly version: string;
  readonly clusterGUID: string;
  readonly allocations: Readonly<Record<string, ReportedAllocation>>;
  readonly problems: readonly unknown[];
}

export interface ReportedAllocation {
  readonly handle: string;
  readonly sequenceNumber: string;
  readonly inUse: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

export function reportOf(
  { allocations, problems }: Audit,
  cluster: { readonly version: string; readonly clusterGUID: string },
): IpamReport {
  const leaked = new Set(
    problems.flatMap((problem) => (problem.kind === "leaked" ? [problem.address] : [])),
  );
  const entries = allocations
    .filter(({ coolingSince }) => coolingSince === undefined)
    .map(({ address, handle, sequenceNumber, attributes }) => [
      address,
      {
        handle,
        sequenceNumber: String(sequenceNumber),
        inUse: !leaked.has(address),
        attributes,
      },
    ]);
  return { ...cluster, allocations: Object.fromEntries(entries), problems };
}

/** An address that was leaked when a report was made, with what a release of it must match. */
export interface LeakedAddress {
  readonly address: IpAddr;
  readonly handle: string;
  readonly sequenceNumber: bigint;
}

/** Addresses that all reports call leaked, given to the same owner all the while. */
export function leakedInAll(reports: readonly IpamReport[]): LeakedAddress[] {
  const [first, ...others] = reports;
  return Object.entries(first?.allocations ?? {}).flatMap(([address, allocation]) => {
    const isSame = ({ allocations }: IpamReport) => {
      const other = allocations[address];
      return (
        other?.inUse === false &&
        other.handle === allocation.handle &&
        other.sequenceNumber === allocation.sequenceNumber
      );
    };
    if (allocation.inUse || !others.every(isSame)) return [];
    const { handle, sequenceNumber } = allocation;
    return [{ address: parseIpAddr(address), handle, sequenceNumber: BigInt(sequenceNumber) }];
  });
}

/** @throws {InputError} that names the file. */
export async function readReport(path: string): Promise<IpamReport> {
  try {
    const report = JSON.parse(await readFile(path, "utf8")) as IpamReport;
    for (const [address, allocation] of Object.entries(report.allocations)) {
      const isSound =
        isIpAddr(address) &&
        typeof allocation.handle === "string" &&
        typeof allocation.inUse === "boolean" &&
        /^\d+$/.test(allocation.sequenceNumber);
      if (!isSound) throw new SyntaxError(`the entry of "${address}" cannot be read`);
    }
    return report;
  } catch (error) {
    throw new InputError(`Cannot read the report ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
