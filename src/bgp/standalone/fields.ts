import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { MaxPrefixes } from "../policy/peer-policy.ts";
import {
  type Field,
  type Fields,
  list,
  map,
  named,
  optional,
  placed,
  type Read,
  required,
} from "./read.ts";
import {
  address,
  asn,
  community,
  family,
  flag,
  identifier,
  integer,
  oneOf,
  prefix,
  text,
} from "./scalars.ts";
import type {
  BfdValues,
  BmpValues,
  KernelValues,
  ListenValues,
  MatchValues,
  MetricsValues,
  MrtValues,
  NeighborValues,
  OperationValues,
  OriginateValues,
  PasswordValues,
  RuleValues,
  ShutdownValues,
  SpeakerValues,
} from "./values.ts";

/** Every key of the speaker's file. docs/bgp-config.md says what each means; a test compares both. */

const seconds = integer(0, 65535);
const port = integer(1, 65535);
const uint32 = integer(0, 4294967295);

/** Session names are words in the speaker's timers and in commands. */
const sessionName: Read<string> = (at) =>
  /^[\w.:-]{1,64}$/.test(at.text ?? "")
    ? at.text
    : at.wrong("must be 1 to 64 letters, digits, and _ . : -");

const selfOrAddress: Read<IpAddr | "self"> = (at) => (at.text === "self" ? "self" : address(at));

/** RFC 4271 section 4.2: zero, or at least three seconds. */
const holdTime: Read<number> = (at) => {
  const value = seconds(at);
  return value === 1 || value === 2 ? at.wrong("must be 0, or 3 to 65535") : value;
};

interface PerFamily<Value> {
  readonly "ipv4-unicast"?: Value;
  readonly "ipv6-unicast"?: Value;
}

/** A map with one value a family. */
function perFamily<Value>(read: Read<Value>): Read<Partial<Record<IpFamily, Value>>> {
  const one = optional(read) as Field<Exclude<Value, undefined>>;
  const both = map<PerFamily<Value>>({ "ipv4-unicast": one, "ipv6-unicast": one });
  return (at) => {
    const { "ipv4-unicast": v4, "ipv6-unicast": v6 } = both(at) ?? {};
    return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) };
  };
}

const maxPrefixesFields: Fields<Partial<MaxPrefixes>> = {
  limit: required(integer(1, 100_000_000)),
  warnPercent: optional(integer(1, 100)),
  onExceed: optional(oneOf("warn", "teardown")),
  restartSeconds: optional(integer(1, 86_400)),
};

const maxPrefixes: Read<MaxPrefixes> = (at) => {
  const { limit, restartSeconds, ...given } =
    map<Partial<MaxPrefixes>>(maxPrefixesFields)(at) ?? {};
  if (limit === undefined) return undefined;
  const { warnPercent = 75, onExceed = "teardown" } = given;
  const restart = restartSeconds === undefined ? {} : { restartSeconds };
  return { limit, warnPercent, onExceed, ...restart };
};

const bfdFields: Fields<BfdValues> = {
  minReceiveMs: optional(integer(10, 60_000)),
  minTransmitMs: optional(integer(10, 60_000)),
  multiplier: optional(integer(1, 255)),
  multihop: optional(flag),
};

const passwordFields: Fields<PasswordValues> = { file: required(placed(text)) };

/** A password that stands in the file itself is not repeated. */
const password: Read<PasswordValues> = (at) =>
  at.text === undefined
    ? map<PasswordValues>(passwordFields)(at)
    : at.wrong("must be {file: PATH}: a password itself must not be here", null);

const shutdownFields: Fields<ShutdownValues> = { message: required(text) };

const neighborFields: Fields<NeighborValues> = {
  name: optional(placed(sessionName)),
  description: optional(text),
  address: optional(placed(address)),
  prefix: optional(placed(prefix)),
  limit: optional(placed(integer(1, 100_000))),
  zone: optional(text),
  port: optional(port),
  asn: required(asn),
  localAs: optional(asn),
  localAddress: optional(placed(address)),
  passive: optional(placed(flag)),
  families: optional(list(family)),
  password: optional(password),
  routeReflectorClient: optional(placed(flag)),
  holdSeconds: optional(holdTime),
  keepaliveSeconds: optional(integer(1, 21_845)),
  connectRetrySeconds: optional(integer(1, 65_535)),
  delayOpenSeconds: optional(seconds),
  idleHoldSeconds: optional(integer(1, 3600)),
  gracefulRestartSeconds: optional(integer(0, 4095)),
  longLivedStaleSeconds: optional(integer(0, 16_777_215)),
  ttlSecurityHops: optional(integer(1, 255)),
  bfd: optional(map<BfdValues>(bfdFields)),
  addPath: optional(perFamily(oneOf("receive", "send", "both"))),
  addPathLimit: optional(integer(1, 65_535)),
  extendedMessages: optional(flag),
  extendedNextHop: optional(flag),
  shutdown: optional(map<ShutdownValues>(shutdownFields)),
  nextHop: optional(oneOf("auto", "self", "keep")),
  allowedLocalAs: optional(integer(0, 255)),
  importFilters: optional(list(placed(text))),
  exportFilters: optional(list(placed(text))),
  maxPrefixes: optional(perFamily(maxPrefixes)),
  defaultOriginate: optional(list(family)),
};

const matchFields: Fields<MatchValues> = {
  prefix: required(placed(prefix)),
  operator: optional(oneOf("equal", "notEqual", "in", "notIn")),
  minLength: optional(integer(0, 128)),
  maxLength: optional(integer(0, 128)),
};

/** Exactly one of them in each entry. */
const operationFields: Fields<OperationValues> = {
  addCommunity: optional(community),
  prependAsPath: optional(list(asn)),
  setLocalPref: optional(uint32),
  setMed: optional(uint32),
  setPriority: optional(integer(1, 2_147_483_646)),
};

const ruleFields: Fields<RuleValues> = {
  family: optional(family),
  match: optional(map<MatchValues>(matchFields)),
  source: optional(oneOf("remotePeers")),
  interface: optional(text),
  peerType: optional(oneOf("eBGP", "iBGP")),
  communities: optional(list(community)),
  asPathPrefix: optional(list(asn)),
  priority: optional(integer(1, 2_147_483_646)),
  action: required(oneOf("accept", "reject")),
  operations: optional(list(placed(map<OperationValues>(operationFields)))),
};

const originateFields: Fields<OriginateValues> = {
  prefix: required(placed(prefix)),
  nextHop: optional(selfOrAddress),
  communities: optional(list(community)),
  med: optional(uint32),
  localPref: optional(uint32),
};

const listenFields: Fields<ListenValues> = { address: required(address), port: optional(port) };

const kernelFields: Fields<KernelValues> = {
  install: optional(flag),
  table: optional(integer(1, 4_294_967_295)),
  metric: optional(integer(1, 4_294_967_295)),
  maxPaths: optional(integer(1, 256)),
};

const metricsFields: Fields<MetricsValues> = { address: required(address), port: optional(port) };

const bmpFields: Fields<BmpValues> = { address: required(address), port: required(port) };

const mrtFields: Fields<MrtValues> = { messages: optional(text) };

const speakerFields: Fields<SpeakerValues> = {
  asn: required(asn),
  routerId: required(identifier),
  clusterId: optional(identifier),
  listen: optional(list(placed(map<ListenValues>(listenFields)))),
  kernel: optional(map<KernelValues>(kernelFields)),
  originate: optional(list(map<OriginateValues>(originateFields))),
  filters: optional(named(list(placed(map<RuleValues>(ruleFields))))),
  neighbors: optional(list(placed(map<NeighborValues>(neighborFields)))),
  bmp: optional(list(map<BmpValues>(bmpFields))),
  mrt: optional(map<MrtValues>(mrtFields)),
  metrics: optional(map<MetricsValues>(metricsFields)),
};

/** All of the file. */
export const readSpeaker: Read<SpeakerValues> = map<SpeakerValues>(speakerFields);

/** The keys of each map, for the test that compares them with the documentation. */
export const fileKeys: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries({
    "top level": speakerFields,
    listen: listenFields,
    kernel: kernelFields,
    originate: originateFields,
    neighbors: neighborFields,
    password: passwordFields,
    bfd: bfdFields,
    shutdown: shutdownFields,
    maxPrefixes: maxPrefixesFields,
    filters: ruleFields,
    match: matchFields,
    operations: operationFields,
    bmp: bmpFields,
    mrt: mrtFields,
    metrics: metricsFields,
  }).map(([where, fields]) => [where, Object.keys(fields)]),
);
