import { errorMessage, InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import { requireAddress } from "./address.ts";
import { clusterSpec } from "./cluster-spec.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { leakedInAll, readReport } from "./report.ts";

/** `ipam release`: an address, or what reports call leaked and still is as it was then. */
export async function runRelease(args: Arguments, context: IpamContext): Promise<number> {
  const reports = args.values("from-report");
  if (reports.length > 0 && args.has("ip")) {
    throw new InputError("Cannot accept both --ip and --from-report");
  }
  if (reports.length > 0) return releaseLeaks(reports, args.has("force"), context);
  const { io, ipam } = context;
  const address = requireAddress(args.value("ip"), "--ip or --from-report");
  const holder = await ipam.holderOf(address);
  if (holder === undefined) {
    io.stderr.write(`IP address ${address} is not assigned\n`);
    return 1;
  }
  // What was seen must still be so: the address may have a new owner by now.
  const { handle, sequenceNumber } = holder;
  await ipam.releaseIps([{ address, handle, sequenceNumber }]);
  io.stdout.write(`Successfully released IP address ${address}\n`);
  return 0;
}

async function releaseLeaks(
  paths: readonly string[],
  force: boolean,
  context: IpamContext,
): Promise<number> {
  const reports = await Promise.all(paths.map(readReport));
  const { io, ipam } = context;
  const { clusterGUID: guid = "", calicoVersion = "", datastoreReady } = await clusterSpec(context);
  for (const [index, { clusterGUID, version }] of reports.entries()) {
    const path = paths[index];
    // Not even --force makes one cluster's leaks those of another.
    if (clusterGUID !== guid) {
      throw new InputError(
        `Cannot release leaked addresses of the report ${path}: it is of cluster "${clusterGUID}", and this is "${guid}"`,
      );
    }
    if (version === calicoVersion) continue;
    const difference = `the report ${path} was made by version "${version}", and the cluster has "${calicoVersion}"`;
    warnOrRefuse(difference, force, io);
  }
  if (datastoreReady !== false) warnOrRefuse("the datastore is not locked", force, io);
  const stillLeaked = new Set(
    (await ipam.audit()).problems.flatMap((problem) =>
      problem.kind === "leaked" ? [problem.address] : [],
    ),
  );
  const leaks = leakedInAll(reports).filter(({ address }) => stillLeaked.has(address));
  let released = 0;
  for (const leak of leaks) {
    try {
      released += (await ipam.releaseIps([leak])).released.length;
    } catch (error) {
      io.stderr.write(`${errorMessage(error)}\n`);
    }
  }
  io.stdout.write(`Released ${released} of ${leaks.length} leaked IPs\n`);
  return released === leaks.length ? 0 : 1;
}

function warnOrRefuse(why: string, force: boolean, io: IpamContext["io"]): void {
  if (!force) throw new InputError(`Cannot release leaked addresses: ${why}; --force does`);
  io.stderr.write(`Warning: ${why}: going on because of --force\n`);
}
