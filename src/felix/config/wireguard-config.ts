import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ParameterValues, TableRange } from "./values.ts";

/** WireGuard, as its parts take it (facts appendix A, 4.21). */
export interface WireguardConfig {
  readonly enabled: Readonly<Record<IpFamily, boolean>>;
  /** What nodes themselves send to each other is encrypted too. */
  readonly hostEncryption: boolean;
  readonly device: Readonly<Record<IpFamily, string>>;
  readonly port: Readonly<Record<IpFamily, number>>;
  /** 0: from the parent's MTU. */
  readonly mtu: Readonly<Record<IpFamily, number>>;
  /** Numbers of the routing tables. */
  readonly table: Readonly<Record<IpFamily, number>>;
  /** Of what the devices send; one bit. */
  readonly mark: number;
  readonly rulePriority: number;
  /** 0: none. */
  readonly keepaliveSeconds: number;
  /** Each peer's packets are decrypted by a thread of their own. */
  readonly threading: boolean;
  /** File with a key that all nodes share, on top of their own. */
  readonly presharedKeyFile?: string;
  readonly routeProtocol: number;
  readonly routeSyncDisabled: boolean;
}

/** local, main, default, and what stands for none. */
const reservedTables: ReadonlySet<number> = new Set([0, 253, 254, 255]);
const longestKeepaliveSeconds = 0xffff;

/** `problems` hears of what cannot be as it is asked for. */
export function wireguardConfig(values: ParameterValues, problems: string[]): WireguardConfig {
  const { wireguard: mark } = values.iptablesMarkMask;
  const asked = { 4: values.wireguardEnabled, 6: values.wireguardEnabledV6 };
  const tables = firstTables(tableRanges(values));
  const lack = lackOf(mark, tables);
  if (lack !== undefined && (asked[4] || asked[6])) {
    problems.push(`Cannot enable WireGuard: ${lack}`);
  }
  const file = values.wireguardPresharedKeyFile;
  return {
    enabled: lack === undefined ? asked : { 4: false, 6: false },
    hostEncryption: values.wireguardHostEncryptionEnabled,
    device: { 4: values.wireguardInterfaceName, 6: values.wireguardInterfaceNameV6 },
    port: { 4: values.wireguardListeningPort, 6: values.wireguardListeningPortV6 },
    mtu: { 4: values.wireguardMTU, 6: values.wireguardMTUV6 },
    table: { 4: tables[0] ?? 0, 6: tables[1] ?? 0 },
    mark: mark ?? 0,
    rulePriority: values.wireguardRoutingRulePriority,
    keepaliveSeconds: Math.min(
      Math.ceil(values.wireguardKeepAlive / 1000),
      longestKeepaliveSeconds,
    ),
    threading: values.wireguardThreadingEnabled,
    ...(file === "" ? {} : { presharedKeyFile: file }),
    routeProtocol: values.deviceRouteProtocol,
    routeSyncDisabled: values.routeSyncDisabled,
  };
}

function lackOf(mark: number | undefined, tables: readonly number[]): string | undefined {
  if (mark === undefined) return "iptablesMarkMask needs a sixth bit";
  return tables.length < 2 ? "routeTableRanges needs two tables" : undefined;
}

function tableRanges({
  routeTableRange,
  routeTableRanges,
}: ParameterValues): readonly TableRange[] {
  const given = [routeTableRanges, routeTableRange].find((ranges) => ranges.length > 0);
  return given ?? [{ min: 1, max: 250 }];
}

function firstTables(ranges: readonly TableRange[]): number[] {
  const found: number[] = [];
  for (const { min, max } of ranges) {
    for (let table = min; table <= max && found.length < 2; table++) {
      if (!reservedTables.has(table)) found.push(table);
    }
  }
  return found;
}
