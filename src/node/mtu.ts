import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { ParameterValues } from "../felix/config/values.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { HostInterface } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Octets of the headers of each encapsulation (facts 4.9). */
const overhead = { ipip: 20, vxlan: 50, vxlanV6: 70, wireguard: 60, wireguardV6: 80 } as const;

/** Where no uplink tells: the smallest among those of common clouds, as Calico has it. */
export const guessedHostMtu = 1460;

/** What of Felix's parameters says how tunnels shorten packets. */
export type MtuParameters = Pick<
  ParameterValues,
  | "ipipEnabled"
  | "ipipMTU"
  | "vxlanEnabled"
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

/** MTU of the host: the least of its uplinks that are up, which `pattern` matches. Undefined without any. */
export function hostMtu(pattern: RegExp, interfaces: readonly HostInterface[]): number | undefined {
  const uplinks = interfaces.filter(({ name, up }) => up && pattern.test(name));
  return uplinks.length === 0 ? undefined : Math.min(...uplinks.map(({ mtu }) => mtu));
}

/**
 * MTU of pods: the least of the tunnels that pools or the configuration call for, each as configured or
 * else the host's less its headers; without tunnels the host's (facts 4.9).
 */
export function podMtu(
  host: number,
  pools: readonly Pick<IPPool, "spec">[],
  parameters: MtuParameters,
): number {
  const uses = (mode: string | undefined) => mode !== undefined && mode !== "Never";
  const isV6 = ({ spec }: Pick<IPPool, "spec">) => spec.cidr.includes(":");
  const vxlan = pools.filter(({ spec }) => uses(spec.vxlanMode));
  const calls = {
    ipip: parameters.ipipEnabled ?? pools.some(({ spec }) => uses(spec.ipipMode)),
    vxlan: parameters.vxlanEnabled ?? vxlan.some((pool) => !isV6(pool)),
    vxlanV6: vxlan.some(isV6),
    wireguard: parameters.wireguardEnabled,
    wireguardV6: parameters.wireguardEnabledV6,
  };
  const configured = {
    ipip: parameters.ipipMTU,
    vxlan: parameters.vxlanMTU,
    vxlanV6: parameters.vxlanMTUV6,
    wireguard: parameters.wireguardMTU,
    wireguardV6: parameters.wireguardMTUV6,
  };
  const kinds = Object.keys(overhead) as (keyof typeof overhead)[];
  const mtus = kinds
    .filter((kind) => calls[kind])
    .map((kind) => configured[kind] || host - overhead[kind]);
  return mtus.length === 0 ? host : Math.min(...mtus);
}

/** There is no MTU file where requireMTUFile asks for one. */
export class MtuFileError extends Error {
  override readonly name = "MtuFileError";
}

/**
 * Writes the file at once as a whole: readers see the old number or the new one.
 *
 * @throws {MtuFileError} when it cannot be written.
 */
function writeMtu(file: string, mtu: number): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.new`, `${mtu}`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  } catch (cause) {
    const what = `Cannot write the MTU file ${file}: ${errorMessage(cause)}`;
    throw new MtuFileError(what, { cause });
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
  #isKnown = false;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /**
   * `isGuess`: no uplink told the host's MTU, so what an uplink told before is better.
   *
   * @throws {MtuFileError} when there is no file and it is required.
   */
  update(
    mtu: number,
    { required, isGuess }: { readonly required: boolean; readonly isGuess: boolean },
  ): void {
    if (mtu === this.#written || (isGuess && this.#isKnown)) return;
    this.#isKnown = !isGuess;
    if (isGuess) {
      this.#log.warn({ mtu }, "no uplink matches mtuIfacePattern: pod MTU is a guess");
    }
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
