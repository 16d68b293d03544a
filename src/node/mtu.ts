import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type PoolClass, poolEncapsulation } from "../api/pool-encapsulation.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import { tunnelOverhead as overhead } from "../api/tunnel-overhead.ts";
import type { ParameterValues } from "../felix/config/values.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import type { HostInterface } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Where no uplink tells: the smallest among those of common clouds, as Calico has it. */
const guessedHostMtu = 1460;

/** What of Felix's parameters says how long packets may be. MTUs: 0 is "from the host's". */
export type EncapsulationMtus = Pick<
  ParameterValues,
  | "ipipEnabled"
  | "ipipMTU"
  | "udpMTU"
  | "ip6TunnelMTU"
  | "vxlanEnabled"
  | "vxlanMTU"
  | "vxlanMTUV6"
  | "wireguardMTU"
  | "wireguardMTUV6"
  | "wireguardEnabled"
  | "wireguardEnabledV6"
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
 * MTU of pods: the least that the devices have of encapsulations that pools use, or that are configured
 * to be used, and of WireGuard; the host's where there are none (facts 4.9). `udpFamily`: of the UDP
 * tunnel's own packets on this node.
 */
export function podMtu(
  host: number,
  pools: readonly IPPool[],
  of: { readonly values: EncapsulationMtus; readonly udpFamily: IpFamily },
): number {
  const { values, udpFamily } = of;
  const uses = (poolClass: PoolClass, ipv6?: boolean) =>
    pools.some(
      (pool) =>
        poolEncapsulation(pool).class === poolClass &&
        (ipv6 === undefined || pool.spec.cidr.includes(":") === ipv6),
    );
  const devices = [
    {
      inUse: values.ipipEnabled ?? uses("ipip", false),
      mtu: values.ipipMTU,
      headers: overhead.ipip,
    },
    { inUse: uses("udp"), mtu: values.udpMTU, headers: overhead.udp[udpFamily] },
    {
      inUse: values.vxlanEnabled ?? uses("vxlan", false),
      mtu: values.vxlanMTU,
      headers: overhead.vxlan[4],
    },
    { inUse: uses("vxlan", true), mtu: values.vxlanMTUV6, headers: overhead.vxlan[6] },
    { inUse: uses("ip6ip6", true), mtu: values.ip6TunnelMTU, headers: overhead.ip6ip6 },
    { inUse: uses("sit", true), mtu: values.ip6TunnelMTU, headers: overhead.sit },
    { inUse: values.wireguardEnabled, mtu: values.wireguardMTU, headers: overhead.wireguard[4] },
    {
      inUse: values.wireguardEnabledV6,
      mtu: values.wireguardMTUV6,
      headers: overhead.wireguard[6],
    },
  ].filter(({ inUse }) => inUse);
  if (devices.length === 0) return host;
  return Math.min(...devices.map(({ mtu, headers }) => mtu || host - headers));
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
  /** What an uplink told last. */
  #host: number | undefined;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /**
   * `host`: of its uplinks; without any, what an uplink told before is better than a guess. `podMtu`: of
   * pods, where the host has this one.
   *
   * @throws {MtuFileError} when there is no file and it is required.
   */
  update(
    host: number | undefined,
    { required, podMtu: of }: { readonly required: boolean; podMtu(host: number): number },
  ): void {
    this.#host = host ?? this.#host;
    const mtu = of(this.#host ?? guessedHostMtu);
    if (mtu === this.#written) return;
    if (this.#host === undefined) {
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
