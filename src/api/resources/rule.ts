/** A port of a rule: 80, "8080:8090" or a named port ("http"). */
export type RulePort = number | string;

export type RuleAction = "Allow" | "Deny" | "Log" | "Pass";

/** "TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite", or 1..255. */
export type Protocol = string | number;

/** Source or destination of a rule. All given fields must match (facts 2.5). */
export interface EntityRule {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  readonly selector?: string;
  readonly notSelector?: string;
  readonly namespaceSelector?: string;
  readonly ports?: readonly RulePort[];
  readonly notPorts?: readonly RulePort[];
  readonly serviceAccounts?: { readonly names?: readonly string[]; readonly selector?: string };
  readonly services?: { readonly name: string; readonly namespace?: string };
}

export interface IcmpMatch {
  readonly type?: number;
  readonly code?: number;
}

/** One rule of a policy or profile (facts 2.5). */
export interface Rule {
  readonly action: RuleAction;
  readonly ipVersion?: 4 | 6;
  readonly protocol?: Protocol;
  readonly notProtocol?: Protocol;
  readonly icmp?: IcmpMatch;
  readonly notICMP?: IcmpMatch;
  readonly source?: EntityRule;
  readonly destination?: EntityRule;
  readonly http?: unknown;
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}
