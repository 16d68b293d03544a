import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { HostInterface } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

const overhead = { none: 0, ipip: 20, vxlan: 50, vxlanV6: 70 } as const;

/** Where the CNI agent finds the MTU of pods. */
export function mtuFile(env: Env): string {
  return env["TORTIE_MTU_FILE"] || "/var/lib/calico/mtu";
}

/** MTU of the host: the least of its uplinks, which `pattern` matches. 0 when there are none. */
export function hostMtu(pattern: RegExp, interfaces: readonly HostInterface[]): number {
  const mtus = interfaces.filter(({ name }) => pattern.test(name)).map(({ mtu }) => mtu);
  return mtus.length === 0 ? 0 : Math.min(...mtus);
}

/** MTU of pods: the host's, less the headers of the encapsulations that pools use (facts 4.9). */
export function podMtu(host: number, pools: readonly IPPool[]): number {
  if (host === 0) return 0;
  const uses = (mode: string | undefined) => mode !== undefined && mode !== "Never";
  const headers = pools.map(({ spec }) => {
    if (uses(spec.ipipMode)) return overhead.ipip;
    if (uses(spec.vxlanMode)) return spec.cidr.includes(":") ? overhead.vxlanV6 : overhead.vxlan;
    return overhead.none;
  });
  return host - Math.max(0, ...headers);
}

/** Writes the file at once as a whole: readers see the old number or the new one. */
export function writeMtu(file: string, mtu: number): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${mtu}`, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}
