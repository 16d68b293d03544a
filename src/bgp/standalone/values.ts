import type { Asn } from "../../lib/asn.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { Community, FilterRule, MaxPrefixes } from "../policy/peer-policy.ts";
import type { Placed } from "./read.ts";

/** The speaker's file as it is written: all that could be read of it. docs/bgp-config.md explains. */
export interface SpeakerValues {
  readonly asn?: Asn;
  readonly routerId?: number;
  readonly clusterId?: number;
  readonly listen?: readonly Placed<ListenValues>[];
  readonly kernel?: KernelValues;
  readonly originate?: readonly OriginateValues[];
  readonly filters?: ReadonlyMap<string, readonly Placed<RuleValues>[]>;
  readonly neighbors?: readonly Placed<NeighborValues>[];
  readonly bmp?: readonly BmpValues[];
  readonly mrt?: MrtValues;
  readonly metrics?: MetricsValues;
}

export interface ListenValues {
  readonly address?: IpAddr;
  readonly port?: number;
}

export interface KernelValues {
  readonly install?: boolean;
  readonly table?: number;
  readonly metric?: number;
  readonly maxPaths?: number;
}

export interface OriginateValues {
  readonly prefix?: Placed<Prefix>;
  readonly nextHop?: IpAddr | "self";
  readonly communities?: readonly Community[];
  readonly med?: number;
  readonly localPref?: number;
}

export interface NeighborValues {
  readonly name?: Placed<string>;
  readonly description?: string;
  readonly address?: Placed<IpAddr>;
  readonly prefix?: Placed<Prefix>;
  readonly limit?: Placed<number>;
  readonly zone?: string;
  readonly port?: number;
  readonly asn?: Asn;
  readonly localAs?: Asn;
  readonly localAddress?: Placed<IpAddr>;
  readonly passive?: Placed<boolean>;
  readonly families?: readonly IpFamily[];
  readonly password?: PasswordValues;
  readonly routeReflectorClient?: Placed<boolean>;
  readonly holdSeconds?: number;
  readonly keepaliveSeconds?: number;
  readonly connectRetrySeconds?: number;
  readonly delayOpenSeconds?: number;
  readonly idleHoldSeconds?: number;
  readonly gracefulRestartSeconds?: number;
  readonly longLivedStaleSeconds?: number;
  readonly ttlSecurityHops?: number;
  readonly bfd?: BfdValues;
  readonly addPath?: Partial<Record<IpFamily, "receive" | "send" | "both">>;
  readonly addPathLimit?: number;
  readonly extendedMessages?: boolean;
  readonly extendedNextHop?: boolean;
  readonly shutdown?: ShutdownValues;
  readonly nextHop?: "auto" | "self" | "keep";
  readonly allowedLocalAs?: number;
  readonly importFilters?: readonly Placed<string>[];
  readonly exportFilters?: readonly Placed<string>[];
  readonly maxPrefixes?: Partial<Record<IpFamily, MaxPrefixes>>;
  readonly defaultOriginate?: readonly IpFamily[];
}

export interface PasswordValues {
  readonly file?: Placed<string>;
}

export interface BfdValues {
  readonly minReceiveMs?: number;
  readonly minTransmitMs?: number;
  readonly multiplier?: number;
  readonly multihop?: boolean;
}

export interface ShutdownValues {
  readonly message?: string;
}

export interface RuleValues extends Partial<Omit<FilterRule, "match" | "operations">> {
  readonly match?: MatchValues;
  readonly operations?: readonly Placed<OperationValues>[];
}

export interface MatchValues {
  readonly prefix?: Placed<Prefix>;
  readonly operator?: "equal" | "notEqual" | "in" | "notIn";
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** Exactly one of them. */
export interface OperationValues {
  readonly addCommunity?: Community;
  readonly prependAsPath?: readonly Asn[];
  readonly setLocalPref?: number;
  readonly setMed?: number;
  readonly setPriority?: number;
}

export interface MrtValues {
  readonly messages?: string;
}

export interface BmpValues {
  readonly address?: IpAddr;
  readonly port?: number;
}

/** Where Prometheus asks. */
export interface MetricsValues {
  readonly address?: IpAddr;
  readonly port?: number;
}
