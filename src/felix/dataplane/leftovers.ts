import { readFileSync } from "node:fs";
import type { ExecHelper } from "../../kernel/exec-helper.ts";
import { IpSets } from "../../kernel/ipset/ip-sets.ts";
import { detectBackend, type IptablesBackend } from "../../kernel/iptables/backend.ts";
import { type TableName, tableNames } from "../../kernel/iptables/model.ts";
import { IptablesTable } from "../../kernel/iptables/tables.ts";
import { ipSetPrefixes } from "../../kernel/ownership.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { Service } from "../../lib/service.ts";
import { kernelHasIpv6 } from "./endpoint-sysctls.ts";
import type { KernelSets } from "./family-part.ts";

export interface LeftoverPorts {
  readonly exec: ExecHelper;
  readonly log: Logger;
  readonly clock: Clock;
  /** Tables that the legacy modules have in this namespace: to ask for another would load it. */
  legacyTables?(family: IpFamily): readonly TableName[];
  openSets?(family: IpFamily): Pick<KernelSets, "apply" | "destroyUnused" | "close">;
  hasIpv6?(): boolean;
}

interface InUse {
  readonly backend: IptablesBackend;
  readonly ipv6Support: boolean;
}

const retryMs = 180_000;

/**
 * Takes away what an earlier configuration left in the kernel and nobody looks after any more: rules
 * in the other backend's tables, and of IPv6 when that is switched off. To be run when the rules that
 * count are there, so that no packet meets none. What fails is tried again.
 */
export function sweepLeftovers(inUse: InUse, ports: LeftoverPorts): Service {
  const { log, clock } = ports;
  return async (signal) => {
    for (let complaint = ""; !signal.aborted; ) {
      try {
        await sweep(inUse, ports);
        return;
      } catch (error) {
        const reason = errorMessage(error);
        if (reason !== complaint) log.warn({ reason }, "rules of before are not taken away");
        complaint = reason;
      }
      await clock.sleep(retryMs, signal).catch(() => undefined);
    }
  };
}

async function sweep({ backend, ipv6Support }: InUse, ports: LeftoverPorts): Promise<void> {
  const { hasIpv6 = kernelHasIpv6 } = ports;
  const families: readonly IpFamily[] = hasIpv6() ? [4, 6] : [4];
  const other = await otherBackend(backend, ports.exec);
  if (other !== undefined) {
    for (const family of families) await sweepTables(other, family, ports);
  }
  if (ipv6Support || !families.includes(6)) return;
  await sweepTables(backend, 6, ports);
  await sweepSets(6, ports);
}

/** Undefined when its programs are not installed. */
async function otherBackend(
  { kind }: IptablesBackend,
  exec: ExecHelper,
): Promise<IptablesBackend | undefined> {
  try {
    return await detectBackend(exec, kind === "nft" ? "legacy" : "nft");
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

async function sweepTables(
  backend: IptablesBackend,
  family: IpFamily,
  { exec, log, legacyTables = loadedTables }: LeftoverPorts,
): Promise<void> {
  for (const table of backend.kind === "legacy" ? legacyTables(family) : tableNames) {
    const plan = await new IptablesTable({ table, family, backend }, { exec }).apply();
    if (plan !== undefined) log.info({ backend: backend.kind, family, table }, "rules taken away");
  }
}

/** Destroys every set of ours that no rule uses. */
export async function sweepSets(
  family: IpFamily,
  { openSets }: Pick<LeftoverPorts, "openSets"> = {},
): Promise<void> {
  const sets = openSets?.(family) ?? new IpSets(family, ipSetPrefixes[family]);
  try {
    await sets.apply();
    for (let more = true; more; ) more = await sets.destroyUnused();
  } finally {
    sets.close();
  }
}

/** Tables that the legacy modules have in this namespace. */
export function loadedTables(family: IpFamily): TableName[] {
  const file = `/proc/net/${family === 4 ? "ip" : "ip6"}_tables_names`;
  try {
    const names = readFileSync(file, "utf8").split("\n");
    return tableNames.filter((name) => names.includes(name));
  } catch {
    // The modules are not loaded.
    return [];
  }
}
