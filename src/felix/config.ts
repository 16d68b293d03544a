import { InputError } from "../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { parseInterfaceAddress, prefixOf } from "../lib/prefix.ts";
import { allocateMarkBits, defaultMarkMask } from "./rules/mark-bits.ts";
import type { FailsafePort, RulesConfig } from "./rules/rules-config.ts";
import { defaultRulesConfig } from "./rules/rules-config.ts";

/** Felix's parameters that act so far (facts appendix A). Durations are in milliseconds. */
export interface FelixConfig {
  readonly interfacePrefixes: readonly string[];
  readonly ipv6Support: boolean;
  readonly iptablesBackend: "auto" | "nft" | "legacy";
  readonly chainInsertMode: "insert" | "append";
  readonly routeRefreshMs: number;
  readonly iptablesRefreshMs: number;
  readonly ipSetsRefreshMs: number;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  /** 0: from the parent's MTU. */
  readonly vxlanMtu: number;
  /** 0: from the parent's MTU. */
  readonly ipipMtu: number;
  readonly removeExternalRoutes: boolean;
  readonly normalRoutePriority: Readonly<Record<4 | 6, number>>;
  readonly deviceRouteProtocol: number;
  readonly programClusterRoutes: "Disabled" | "Enabled" | "EnabledNoEncapOnly" | "EnabledIPIPOnly";
  /** Folder of the endpoint-status files; undefined: none are written. */
  readonly endpointStatusFolder: string | undefined;
  readonly logSeverityScreen: string;
  readonly rules: RulesConfig;
  /** Parameters that somebody gave and that nothing acts on, as the source writes them. */
  readonly ignored: readonly string[];
}

/** A parameter's value as text, whichever way it was given; undefined when nobody gave it. */
type Source = (name: string) => string | undefined;

interface ConfigSources {
  /** spec of FelixConfiguration "default". */
  readonly global?: Readonly<Record<string, unknown>>;
  /** spec of FelixConfiguration "node.<name>". */
  readonly node?: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The effective configuration: defaults < global < node < environment (facts 2.8). Names are those of
 * the YAML form; the environment has them in capitals after FELIX_.
 *
 * @throws {InputError} that names the parameter and its value.
 */
export function felixConfig({ global = {}, node = {}, env }: ConfigSources): FelixConfig {
  const read = new Set<string>(readByOthers);
  const source: Source = (name) => {
    read.add(name.toUpperCase());
    const value = env[`FELIX_${name.toUpperCase()}`] || (node[name] ?? global[name]);
    if (value === undefined || value === null || value === "") return undefined;
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };
  const prefix = source("endpointStatusPathPrefix") ?? "/var/run/calico";
  const config = {
    interfacePrefixes: interfacePrefixes(source),
    ipv6Support: flag(source, "ipv6Support", true),
    iptablesBackend: choice(source, "iptablesBackend", ["auto", "nft", "legacy"], "auto"),
    chainInsertMode: choice(source, "chainInsertMode", ["insert", "append"], "insert"),
    routeRefreshMs: duration(source, "routeRefreshInterval", 90_000),
    iptablesRefreshMs: duration(source, "iptablesRefreshInterval", 180_000),
    ipSetsRefreshMs: duration(source, "ipsetsRefreshInterval", 90_000),
    vxlanPort: integer(source, "vxlanPort", [1, 65535], 4789),
    vxlanVni: integer(source, "vxlanVNI", [1, 0xffffff], 4096),
    vxlanMtu: integer(source, "vxlanMTU", [0, 65535], 0),
    ipipMtu: integer(source, "ipipMTU", [0, 65535], 0),
    removeExternalRoutes: flag(source, "removeExternalRoutes", true),
    normalRoutePriority: {
      4: integer(source, "ipv4NormalRoutePriority", [1, 2147483646], 1024),
      6: integer(source, "ipv6NormalRoutePriority", [1, 2147483646], 1024),
    },
    deviceRouteProtocol: integer(source, "deviceRouteProtocol", [0, 255], 3),
    programClusterRoutes: choice(
      source,
      "programClusterRoutes",
      ["Disabled", "Enabled", "EnabledNoEncapOnly", "EnabledIPIPOnly"],
      "EnabledIPIPOnly",
    ),
    endpointStatusFolder: prefix === "none" ? undefined : `${prefix}/endpoint-status`,
    logSeverityScreen: source("logSeverityScreen") ?? "Info",
    rules: rulesConfig(source),
  };
  return { ...config, ignored: ignoredOf({ global, node, env }, read) };
}

/** Parameters that other parts of a node read: its supervisor, its MTU, its selection by labels. */
const readByOthers = [
  ...["HEALTHENABLED", "HEALTHHOST", "HEALTHPORT", "MTUIFACEPATTERN", "NODESELECTOR"],
  ...["DATASTORETYPE", "FELIXHOSTNAME"],
];

const environmentPrefix = "FELIX_";

function ignoredOf(
  { global = {}, node = {}, env }: ConfigSources,
  read: ReadonlySet<string>,
): readonly string[] {
  const isIgnored = (name: string) => !read.has(name.toUpperCase());
  const stored = new Set([...Object.keys(global), ...Object.keys(node)].filter(isIgnored));
  const variables = Object.keys(env).filter(
    (name) =>
      name.startsWith(environmentPrefix) &&
      env[name] !== "" &&
      isIgnored(name.slice(environmentPrefix.length)),
  );
  return [...[...stored].sort(), ...variables.sort()];
}

function rulesConfig(source: Source): RulesConfig {
  const verdicts = ["ACCEPT", "RETURN"] as const;
  const address = source("natOutgoingAddress");
  const range = portRange(source, "natPortRange");
  return {
    ...defaultRulesConfig,
    marks: allocateMarkBits(integer(source, "iptablesMarkMask", [1, 0xffffffff], defaultMarkMask)),
    workloadInterfacePrefixes: interfacePrefixes(source),
    vxlanPort: integer(source, "vxlanPort", [1, 65535], 4789),
    defaultEndpointToHostAction: choice(
      source,
      "defaultEndpointToHostAction",
      ["DROP", "ACCEPT", "RETURN"],
      "DROP",
    ),
    filterAllowAction: choice(source, "iptablesFilterAllowAction", verdicts, "ACCEPT"),
    mangleAllowAction: choice(source, "iptablesMangleAllowAction", verdicts, "ACCEPT"),
    filterDenyAction: choice(source, "iptablesFilterDenyAction", ["DROP", "REJECT"], "DROP"),
    allowVxlanPacketsFromWorkloads: flag(source, "allowVXLANPacketsFromWorkloads", false),
    allowIpipPacketsFromWorkloads: flag(source, "allowIPIPPacketsFromWorkloads", false),
    disableConntrackInvalidCheck: flag(source, "disableConntrackInvalidCheck", false),
    failsafeInbound: failsafePorts(source, "failsafeInboundHostPorts", "failsafeInbound"),
    failsafeOutbound: failsafePorts(source, "failsafeOutboundHostPorts", "failsafeOutbound"),
    logPrefix: source("logPrefix") ?? defaultRulesConfig.logPrefix,
    ...(range === undefined ? {} : { natPortRange: range }),
    ...(address === undefined ? {} : { natOutgoingAddress: parseAddress(address) }),
    natOutgoingExclusions: choice(
      source,
      "natOutgoingExclusions",
      ["IPPoolsOnly", "IPPoolsAndHostIPs"],
      "IPPoolsOnly",
    ),
    allowSourceSpoofing:
      choice(source, "workloadSourceSpoofing", ["Disabled", "Any"], "Disabled") === "Any",
    floatingIps: choice(source, "floatingIPs", ["Disabled", "Enabled"], "Disabled") === "Enabled",
    serviceLoopPrevention: choice(
      source,
      "serviceLoopPrevention",
      ["Drop", "Reject", "Disabled"],
      "Drop",
    ),
  };
}

function refused(name: string, value: string, want: string): InputError {
  return new InputError(`Cannot accept Felix's parameter ${name} "${value}": it must be ${want}`);
}

function interfacePrefixes(source: Source): readonly string[] {
  const text = source("interfacePrefix") ?? "cali";
  if (/^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$/.test(text)) return text.split(",");
  throw refused("interfacePrefix", text, "names parted by commas");
}

function flag(source: Source, name: string, fallback: boolean): boolean {
  const text = source(name);
  if (text === undefined) return fallback;
  if (/^(true|1|yes|y|t)$/i.test(text)) return true;
  if (/^(false|0|no|n|f)$/i.test(text)) return false;
  throw refused(name, text, "true or false");
}

function choice<Choice extends string>(
  source: Source,
  name: string,
  choices: readonly Choice[],
  fallback: Choice,
): Choice {
  const text = source(name);
  if (text === undefined) return fallback;
  const found = choices.find((value) => value.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw refused(name, text, `one of ${choices.join(", ")}`);
}

function integer(
  source: Source,
  name: string,
  [least, most]: readonly [number, number],
  fallback: number,
): number {
  const text = source(name);
  if (text === undefined) return fallback;
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw refused(name, text, `a whole number from ${least} to ${most}`);
}

/** Seconds ("90"), or Go's form ("1m30s", "500ms"). 0 switches off what it paces. */
function duration(source: Source, name: string, fallback: number): number {
  const text = source(name);
  if (text === undefined) return fallback;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    return parts.reduce(
      (sum, [, count, unit = "s"]) => sum + Number(count) * (units[unit] ?? 0),
      0,
    );
  }
  throw refused(name, text, 'a duration like "90s"');
}

function portRange(source: Source, name: string): { first: number; last: number } | undefined {
  const text = source(name);
  if (text === undefined || text === "0") return undefined;
  const [, first, last] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last ?? first) };
  if (range.first <= range.last && range.last <= 65535) return range;
  throw refused(name, text, "a port or a range like 30000:40000");
}

/** "tcp:22,udp:10.0.0.0/8:68", "22" for TCP, "none"; or as a resource has it: a list of objects. */
function failsafePorts(
  source: Source,
  name: string,
  fallback: "failsafeInbound" | "failsafeOutbound",
): readonly FailsafePort[] {
  const text = source(name);
  if (text === undefined) return defaultRulesConfig[fallback];
  if (text.toLowerCase() === "none") return [];
  try {
    if (text.startsWith("[{") || text === "[]") return JSON.parse(text).map(failsafeObject);
    return text.split(",").map((item) => failsafeText(item.trim()));
  } catch {
    throw refused(name, text, 'ports like "tcp:22,udp:10.0.0.0/8:68", or "none"');
  }
}

function failsafeText(text: string): FailsafePort {
  const [, protocol = "tcp", net = "", port] =
    /^(?:(tcp|udp|sctp):)?(?:(.+):)?(\d+)$/i.exec(text) ?? [];
  return failsafeObject({ protocol, net: net.replaceAll(/[[\]]/g, ""), port: Number(port) });
}

function failsafeObject(item: { protocol?: string; net?: string; port?: number }): FailsafePort {
  const protocol = (["tcp", "udp", "sctp"] as const).find(
    (known) => known === (item.protocol ?? "tcp").toLowerCase(),
  );
  const { port, net } = item;
  if (protocol === undefined || port === undefined || !(port >= 1 && port <= 65535)) {
    throw new RangeError(`Cannot use failsafe port ${port} of ${item.protocol}`);
  }
  if (!net) return { protocol, port };
  const { address, length } = parseInterfaceAddress(net);
  return { protocol, port, net: prefixOf(address, length) };
}

function parseAddress(text: string): IpAddr {
  try {
    return parseIpAddr(text);
  } catch {
    throw refused("natOutgoingAddress", text, "an address");
  }
}
