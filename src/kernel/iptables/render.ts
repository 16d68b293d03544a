import { assertNever } from "../../lib/brand.ts";
import { InputError } from "../../lib/errors.ts";
import { isIpAddr } from "../../lib/ip-addr.ts";
import { parseInterfaceAddress } from "../../lib/prefix.ts";
import type { Action, Match, Ports, Rule } from "./model.ts";

/**
 * Rules as iptables text, in Calico's exact form (facts 4.5, 4.17): a rule's hash is taken over
 * this text, so any change here rewrites every chain of every node once.
 *
 * Text that comes from a resource has two ways in: names are checked and refused, comments and
 * prefixes lose every unsafe character. Nothing else of a resource is text.
 */

/** What the installed iptables can do. */
export interface IptablesFeatures {
  /** SNAT takes --random-fully, and so does MASQUERADE (iptables 1.6.2). */
  readonly snatFullyRandom: boolean;
  readonly masqFullyRandom: boolean;
  /** restore takes --wait (iptables 1.6.2). */
  readonly restoreWait: boolean;
}

/** Longest chain name that iptables takes (XT_EXTENSION_MAXNAMELEN less the final NUL). */
export const maxChainNameLength = 28;

/** In place of the hash comment while the hash is computed (facts 4.17). */
export const hashPlaceholder = "HASH";

export const hashCommentPrefix = "cali:";

const maxCommentLength = 256;
const maxLogPrefixLength = 27;
const maxNflogPrefixLength = 63;
/** XT_LIMIT_SCALE: rates and bursts end here. */
const maxLimit = 10_000;
const unsafeCharacter = /[^\w @%+=:,./-]/gu;

/** "-m comment --comment "cali:HASH"". */
export function hashComment(hash: string): string {
  return `-m comment --comment "${hashCommentPrefix}${hash}"`;
}

/**
 * One rule without its command and chain: what follows "-A chain". `tag` is the hash comment or
 * the placeholder.
 *
 * @throws {InputError} when a name or number of the rule cannot be written.
 */
export function renderRule(rule: Rule, tag: string, features: IptablesFeatures): string {
  const comments = (rule.comments ?? []).map(renderComment);
  const matches = rule.match.map(renderMatch);
  const action = rule.action === undefined ? [] : [renderAction(rule.action, features)];
  return [tag, ...comments, ...matches, ...action].join(" ");
}

/** Throws unless iptables and its text can carry `name` as a chain's name. */
export function checkedChainName(name: string): string {
  if (!/^[A-Za-z0-9_][\w.:/+=@-]*$/.test(name) || name.length > maxChainNameLength) {
    throw new InputError(`Cannot use chain name ${JSON.stringify(name)}`);
  }
  return name;
}

/** Any text as part of restore text between quotes. */
export function sanitised(text: string, maxLength: number): string {
  return text.replace(unsafeCharacter, "_").slice(0, maxLength);
}

function renderComment(comment: string): string {
  return `-m comment --comment "${sanitised(comment, maxCommentLength)}"`;
}

function renderMatch(match: Match): string {
  const not = "not" in match && match.not === true ? "! " : "";
  switch (match.kind) {
    case "mark":
      return `-m mark ${not}--mark ${markValue(match.value)}/${hex(match.mask)}`;
    case "interface":
      return `--${match.direction}-interface ${interfaceName(match.name)}${match.prefix ? "+" : ""}`;
    case "protocol":
      return `${not}-p ${protocolName(match.protocol)}`;
    case "net":
      return `${not}--${match.side} ${checkedNet(match.net)}`;
    case "ipSet": {
      const side = match.side === "source" ? "src" : "dst";
      const fields = match.withPort ? `${side},${side}` : side;
      return `-m set ${not}--match-set ${setName(match.set)} ${fields}`;
    }
    case "ports":
      return `-m multiport ${not}--${match.side}-ports ${portList(match.ports)}`;
    case "destinationPort":
      return `--dport ${integer(match.port, 0xffff, "port")}`;
    case "conntrackState":
      return `-m conntrack ${not}--ctstate ${match.states.join(",")}`;
    case "reversePathFailed":
      return "-m rpfilter --invert --validmark";
    case "localAddress": {
      const side = match.side === "source" ? "src" : "dst";
      const limit = match.limitInterfaceOut ? " --limit-iface-out" : "";
      return `-m addrtype ${not}--${side}-type LOCAL${limit}`;
    }
    case "icmp": {
      const type = integer(match.type, 255, "ICMP type");
      const code = match.code === undefined ? "" : `/${integer(match.code, 255, "ICMP code")}`;
      const [module, option] =
        match.family === 4 ? ["icmp", "icmp-type"] : ["icmp6", "icmpv6-type"];
      return `-m ${module} ${not}--${option} ${type}${code}`;
    }
    case "limit": {
      const burst = integer(match.burst, maxLimit, "limit burst");
      return `-m limit --limit ${limitRate(match.rate)} --limit-burst ${burst}`;
    }
    case "tcpSyn":
      return "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
    case "connectionsAbove": {
      const count = integer(match.count, 0xffffffff, "number of connections");
      return `-m connlimit --connlimit-above ${count} --connlimit-mask 0`;
    }
    default:
      return assertNever(match);
  }
}

function randomFully(supported: boolean): string {
  return supported ? " --random-fully" : "";
}

function renderAction(action: Action, features: IptablesFeatures): string {
  switch (action.kind) {
    case "jump":
      return `--jump ${checkedChainName(action.chain)}`;
    case "goto":
      return `--goto ${checkedChainName(action.chain)}`;
    case "return":
    case "accept":
    case "drop":
    case "reject":
      return `--jump ${action.kind.toUpperCase()}`;
    case "tcpReset":
      return "-j REJECT --reject-with tcp-reset";
    case "setMark":
      return `--jump MARK --set-mark ${hex(action.value)}/${hex(action.mask)}`;
    case "clearMark":
      return `--jump MARK --set-mark 0/${hex(action.mask)}`;
    case "masquerade": {
      const ports = action.toPorts === undefined ? "" : ` --to-ports ${portSpan(action.toPorts)}`;
      return `--jump MASQUERADE${ports}${randomFully(features.masqFullyRandom)}`;
    }
    case "snat": {
      const ports = action.toPorts === undefined ? "" : `:${portSpan(action.toPorts)}`;
      const random = randomFully(features.snatFullyRandom);
      return `--jump SNAT --to-source ${natAddress(action.address, ports)}${ports}${random}`;
    }
    case "dnat": {
      const port = action.port === undefined ? "" : `:${integer(action.port, 0xffff, "port")}`;
      return `--jump DNAT --to-destination ${natAddress(action.address, port)}${port}`;
    }
    case "log":
      return `--jump LOG --log-prefix "${sanitised(action.prefix, maxLogPrefixLength)}: " --log-level 5`;
    case "nflog": {
      const prefix = nflogPrefix(action.prefix);
      const group = integer(action.group, 0xffff, "NFLOG group");
      return `--jump NFLOG --nflog-group ${group} --nflog-prefix ${prefix} --nflog-size 80`;
    }
    case "noTrack":
      return "--jump NOTRACK";
    case "dscp":
      return `--jump DSCP --set-dscp ${hex(integer(action.value, 63, "DSCP"))}`;
    default:
      return assertNever(action);
  }
}

/** Any text as one word: as sanitised, but "|" may stand in it and a blank may not. */
function nflogPrefix(text: string): string {
  const fields = text.split("|").map((field) => sanitised(field, maxNflogPrefixLength));
  return fields.join("|").replaceAll(" ", "_").slice(0, maxNflogPrefixLength);
}

function limitRate(rate: string): string {
  if (
    /^[1-9]\d{0,4}\/(sec|second|minute|hour|day)$/.test(rate) &&
    Number.parseInt(rate, 10) <= maxLimit
  )
    return rate;
  throw new InputError(`Cannot use rate ${JSON.stringify(rate)}: it must be like "10/minute"`);
}

/** Calico writes a tested zero as "0", every other number in hex. */
function markValue(value: number): string {
  return value === 0 ? "0" : hex(value);
}

function hex(value: number): string {
  return `0x${integer(value, 0xffffffff, "mark").toString(16)}`;
}

function integer(value: number, max: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new InputError(`Cannot use ${what} ${value}: it must be 0 to ${max}`);
  }
  return value;
}

function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9_][\w.:@-]{0,14}$/.test(name)) {
    throw new InputError(`Cannot use interface name ${JSON.stringify(name)}`);
  }
  return name;
}

function setName(name: string): string {
  if (!/^[A-Za-z0-9_][\w.:@-]{0,30}$/.test(name)) {
    throw new InputError(`Cannot use IP set name ${JSON.stringify(name)}`);
  }
  return name;
}

function protocolName(protocol: string | number): string | number {
  if (typeof protocol === "number") return integer(protocol, 255, "protocol");
  if (!/^[a-z][a-z0-9-]{0,15}$/.test(protocol)) {
    throw new InputError(`Cannot use protocol ${JSON.stringify(protocol)}`);
  }
  return protocol;
}

function checkedNet(net: string): string {
  try {
    parseInterfaceAddress(net);
  } catch (cause) {
    throw new InputError(`Cannot use net ${JSON.stringify(net)}`, { cause });
  }
  return net;
}

/** IPv6 stands in brackets when a port follows. */
function natAddress(address: string, port: string): string {
  if (!isIpAddr(address)) throw new InputError(`Cannot use address ${JSON.stringify(address)}`);
  return port !== "" && address.includes(":") ? `[${address}]` : address;
}

function portList(ports: readonly Ports[]): string {
  return ports
    .map(({ first, last }) => {
      const low = integer(first, 0xffff, "port");
      return first === last ? `${low}` : `${low}:${integer(last, 0xffff, "port")}`;
    })
    .join(",");
}

function portSpan({ first, last }: Ports): string {
  return `${integer(first, 0xffff, "port")}-${integer(last, 0xffff, "port")}`;
}
