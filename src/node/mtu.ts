import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { poolEncapsulation } from "../api/pool-encapsulation.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { ParameterValues } from "../felix/config/values.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { HostInterface } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Octets of the outer headers. */
const overhead = {
  ipip: 20,
  udp: 28,
  vxlan: 50,
  vxlanV6: 70,
  wireguard: 60,
  wireguardV6: 80,
} as const;

/** What of Felix's parameters says how tunnels shorten packets. */
export type TunnelMtus = Pick<
  ParameterValues,
  | "ipipMTU"
  | "udpMTU"
  | "vxlanMTU"
  | "vxlanMTUV6"
  | "wireguardEnabled"
  | "wireguardEnabledV6"
  | "wireguardMTU"
  | "wireguardMTUV6"
>;

/** Where the CNI agent finds the MTU of pods. */
export function mtuFile(env: Env): string {
  return env["TORTIE_MTU_FILE"] || "/var/lib/calico/mtu";
}

/** MTU of the host: the least of its uplinks, which `pattern` matches. 0 when there are none. */
export function hostMtu(pattern: RegExp, interfaces: readonly HostInterface[]): number {
  const mtus = interfaces.filter(({ name }) => pattern.test(name)).map(({ mtu }) => mtu);
  return mtus.length === 0 ? 0 : Math.min(...mtus);
}

/**
 * MTU of pods: the least that a device has through which their packets may go. A device has the MTU that
 * its parameter says, else the host's less its headers (facts 4.9).
 */
export function podMtu(host: number, pools: readonly IPPool[], given: TunnelMtus): number {
  if (host === 0) return 0;
  const mtus = pools.map((pool) => mtuTo(pool, host, given));
  const { wireguardMTU, wireguardMTUV6 } = given;
  if (given.wireguardEnabled) mtus.push(wireguardMTU || host - overhead.wireguard);
  if (given.wireguardEnabledV6) mtus.push(wireguardMTUV6 || host - overhead.wireguardV6);
  return Math.min(host, ...mtus);
}

function mtuTo(pool: IPPool, host: number, given: TunnelMtus): number {
  switch (poolEncapsulation(pool).class) {
    case "ipip":
      return given.ipipMTU || host - overhead.ipip;
    case "udp":
      return given.udpMTU || host - overhead.udp;
    case "vxlan":
      return pool.spec.cidr.includes(":")
        ? given.vxlanMTUV6 || host - overhead.vxlanV6
        : given.vxlanMTU || host - overhead.vxlan;
    default:
      return host;
  }
}

/** There is no MTU file where requireMTUFile asks for one. */
export class MtuFileError extends Error {
  override readonly name = "MtuFileError";
}

/**
 * Writes the file at once as a whole: readers see the old number or the new one. 0 is not written.
 *
 * @throws {MtuFileError} when it cannot be written, or the MTU is not known.
 */
function writeMtu(file: string, mtu: number): void {
  const what = `Cannot write the MTU file ${file}`;
  if (mtu === 0) throw new MtuFileError(`${what}: no interface tells the host's MTU`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.new`, `${mtu}`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  } catch (cause) {
    throw new MtuFileError(`${what}: ${errorMessage(cause)}`, { cause });
  }
}

/**
 * Keeps the MTU file up to date. Without `required` a failure is only logged, once for each reason.
 */
export class MtuFile {
  readonly #file: string;
  readonly #log: Logger;
  #written: number | undefined;
  #complaint: string | undefined;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /** @throws {MtuFileError} when there is no file and it is required. */
  update(mtu: number, required: boolean): void {
    if (mtu === this.#written || (mtu === 0 && this.#written !== undefined)) return;
    try {
      writeMtu(this.#file, mtu);
      this.#written = mtu;
      this.#complaint = undefined;
      this.#log.info({ mtu }, "pod MTU written");
    } catch (error) {
      if (required) throw error;
      const reason = errorMessage(error);
      if (reason !== this.#complaint) this.#log.warn({ reason }, "pod MTU not written");
      this.#complaint = reason;
    }
  }
}
