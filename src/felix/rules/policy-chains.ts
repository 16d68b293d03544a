import type { Action, Chain, Match, Rule } from "../../kernel/iptables/model.ts";
import { assertNever } from "../../lib/brand.ts";
import { compareText } from "../../lib/collections.ts";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily, prefixLength } from "../../lib/prefix.ts";
import type { ActivePolicy, ActiveProfile, ResolvedEntity, ResolvedRule } from "../calc/updates.ts";
import {
  icmp,
  ipPortSet,
  ipSet,
  markSet,
  net,
  numberOfProtocol,
  ports,
  protocol,
  protocolNumber,
  returns,
  setMark,
} from "./match.ts";
import { MatchBlocks, splitPorts } from "./match-blocks.ts";
import {
  type Direction,
  kindOfShortKind,
  policyChainName,
  profileChainName,
  setName,
} from "./names.ts";
import { denialLog, policyDenyPrefix, profileDenyPrefix } from "./nflog.ts";
import { filterDeny, type RulesConfig } from "./rules-config.ts";

/** Chains of policies and profiles: the verdict goes into the mark, and back to the caller (facts 4.6). */

/**
 * Both chains, whatever the policy's types are: what no endpoint jumps to never reaches the kernel.
 *
 * @throws {InputError} when iptables cannot say a rule. Then give the table no such chain: a jump to
 *   a chain that is missing drops.
 */
export function policyChains(
  id: string,
  policy: ActivePolicy,
  { config, family }: RuleContext,
): Chain[] {
  const name = policy.namespace === undefined ? policy.name : `${policy.namespace}/${policy.name}`;
  const logPrefix = expandLogPrefix(config.logPrefix, {
    t: policy.tier,
    k: policy.shortKind,
    n: policy.name,
    p: name,
  });
  return directions.map((direction) => ({
    name: policyChainName(id, direction),
    rules: chainRules(policy[direction], {
      comment: `${kindOfShortKind[policy.shortKind]} ${name} ${direction}`,
      direction,
      denyPrefix: (index) => policyDenyPrefix(direction, index, id),
      logPrefix,
      config,
      family,
    }),
  }));
}

export function profileChains(
  id: string,
  profile: ActiveProfile,
  { config, family }: RuleContext,
): Chain[] {
  const logPrefix = expandLogPrefix(config.logPrefix, { t: "", k: "pro", n: id, p: id });
  return directions.map((direction) => ({
    name: profileChainName(id, direction),
    rules: chainRules(profile[direction], {
      comment: `Profile ${id} ${direction}`,
      direction,
      denyPrefix: (index) => profileDenyPrefix(direction, index, id),
      logPrefix,
      config,
      family,
    }),
  }));
}

export interface RuleContext {
  readonly config: RulesConfig;
  readonly family: IpFamily;
}

interface ChainContext extends RuleContext {
  readonly comment: string;
  readonly direction: Direction;
  readonly logPrefix: string;
  /** By which the rule of this index is known when it denies. */
  denyPrefix(index: number): string;
}

const directions: readonly Direction[] = ["ingress", "egress"];

/** A return at the end of a chain says nothing. The first rule says whose chain it is. */
function chainRules(resolved: readonly ResolvedRule[], context: ChainContext): Rule[] {
  const rules = resolved.flatMap((rule, index) => renderRule(rule, index, context));
  while (rules.at(-1)?.action?.kind === "return") rules.pop();
  const [first = { match: [] }, ...others] = rules;
  return [{ ...first, comments: [...(first.comments ?? []), context.comment] }, ...others];
}

function renderRule(rule: ResolvedRule, index: number, context: ChainContext): Rule[] {
  const filtered = ofFamily(rule, context.family);
  if (filtered === undefined) return [];
  checkPorts(filtered, context);
  const blocks = new MatchBlocks(context.config.marks);
  const rest = takeBlocks(filtered, { blocks, family: context.family });
  const match = ruleMatch(rest, context.family);
  if (blocks.rules.length > 0) match.push(markSet(context.config.marks.scratch0));
  const rules = [...blocks.rules, ...verdictRules({ ...rule, index }, match, context)];
  const comments = Object.entries(rule.annotations ?? {})
    .sort(([a], [b]) => compareText(a, b))
    .map(([key, value]) => `${key}=${value}`);
  return comments.length === 0 ? rules : rules.map((one) => ({ ...one, comments }));
}

/** One rule that iptables refuses would keep all others out of the kernel. */
function checkPorts(
  { protocol: name, source, destination }: ResolvedRule,
  { comment }: ChainContext,
): void {
  const lists = [source.ports, source.notPorts, destination.ports, destination.notPorts];
  if (lists.every((list) => list.length === 0) || portProtocols.has(numberOfProtocol(name ?? "")))
    return;
  throw new InputError(`Cannot match ports of protocol ${name ?? "any"}: ${comment}`);
}

/** What the multiport module knows. */
const portProtocols: ReadonlySet<number | undefined> = new Set([
  protocolNumber.tcp,
  protocolNumber.udp,
  protocolNumber.udplite,
  protocolNumber.sctp,
  protocolNumber.dccp,
]);

/**
 * The rule with the nets of one family only, undefined when it says nothing of that family: all
 * nets of a field are of the other one, or a negated one excludes every address. ICMP of the other
 * family matches nothing.
 */
export function ofFamily(rule: ResolvedRule, family: IpFamily): ResolvedRule | undefined {
  if (rule.ipVersion !== undefined && rule.ipVersion !== family) return undefined;
  if (rule.icmp?.type !== undefined && !isIcmp(rule.protocol, family)) return undefined;
  const source = entityOfFamily(rule.source, family);
  const destination = entityOfFamily(rule.destination, family);
  if (source === undefined || destination === undefined) return undefined;
  return withOneProtocol({ ...rule, source, destination });
}

/** iptables takes one -p: beside a protocol, another that it must not be says nothing or all. */
function withOneProtocol(rule: ResolvedRule): ResolvedRule | undefined {
  const { notProtocol, ...rest } = rule;
  if (rest.protocol === undefined || notProtocol === undefined) return rule;
  return numberOfProtocol(rest.protocol) === numberOfProtocol(notProtocol) ? undefined : rest;
}

function entityOfFamily(entity: ResolvedEntity, family: IpFamily): ResolvedEntity | undefined {
  const nets = entity.nets.filter((prefix) => prefixFamily(prefix) === family);
  if (nets.length === 0 && entity.nets.length > 0) return undefined;
  const notNets = entity.notNets.filter((prefix) => prefixFamily(prefix) === family);
  if (notNets.some((prefix) => prefixLength(prefix) === 0)) return undefined;
  return { ...entity, nets, notNets };
}

function isIcmp(name: ResolvedRule["protocol"], family: IpFamily): boolean {
  return numberOfProtocol(name ?? "") === protocolNumber[family === 4 ? "icmp" : "icmpv6"];
}

/** Moves what one rule cannot say into blocks, and returns what is left to say. */
function takeBlocks(
  rule: ResolvedRule,
  { blocks, family }: { readonly blocks: MatchBlocks; readonly family: IpFamily },
): ResolvedRule {
  const left = { source: { ...rule.source }, destination: { ...rule.destination } };
  for (const side of sides) {
    const entity = left[side];
    const splits = splitPorts(entity.ports);
    if (splits.length + entity.namedPortSets.length <= 1) continue;
    const sets = entity.namedPortSets.map((id) => setName(id, family));
    blocks.anyPort(side, { splits, sets, protocol: rule.protocol });
    left[side] = { ...entity, ports: [], namedPortSets: [] };
  }
  for (const side of sides) {
    const entity = left[side];
    if (entity.nets.length <= 1) continue;
    blocks.anyNet(side, entity.nets);
    left[side] = { ...entity, nets: [] };
  }
  for (const side of sides) {
    const entity = left[side];
    // One rule has room for one source and one destination, negated or not.
    if (entity.notNets.length === 0 || entity.nets.length + entity.notNets.length <= 1) continue;
    blocks.noNet(side, entity.notNets);
    left[side] = { ...entity, notNets: [] };
  }
  return { ...rule, ...left };
}

const sides = ["source", "destination"] as const;

/** What must match, then what must not, each in Calico's order. */
function ruleMatch(rule: ResolvedRule, family: IpFamily): Match[] {
  const match: Match[] = [];
  if (rule.protocol !== undefined) match.push(protocol(rule.protocol));
  for (const side of sides) {
    const { nets, ipSets, ipPortSets, ports: ranges, namedPortSets } = rule[side];
    match.push(...nets.map((prefix) => net(side, prefix)));
    match.push(...ipSets.map((id) => ipSet(side, setName(id, family))));
    match.push(...ipPortSets.map((id) => ipPortSet(side, setName(id, family))));
    if (ranges.length > 0) match.push(ports(side, ranges));
    match.push(...namedPortSets.map((id) => ipPortSet(side, setName(id, family))));
  }
  const { icmp: wanted, notIcmp: unwanted } = rule;
  if (wanted?.type !== undefined) match.push(icmp(family, { ...wanted, type: wanted.type }));
  if (rule.notProtocol !== undefined) match.push(protocol(rule.notProtocol, true));
  for (const side of sides) {
    const { notNets, notIpSets, notPorts, notNamedPortSets } = rule[side];
    match.push(...notNets.map((prefix) => net(side, prefix, true)));
    match.push(...notIpSets.map((id) => ipSet(side, setName(id, family), true)));
    match.push(...splitPorts(notPorts).map((split) => ports(side, split, true)));
    match.push(...notNamedPortSets.map((id) => ipPortSet(side, setName(id, family), true)));
  }
  // The ICMP module matches only packets of the rule's own ICMP protocol: with another, all
  // packets lack the unwanted type.
  if (unwanted?.type !== undefined && isIcmp(rule.protocol, family)) {
    match.push(icmp(family, { ...unwanted, type: unwanted.type }, true));
  }
  return match;
}

function verdictRules(
  { action, index }: Pick<ResolvedRule, "action"> & { readonly index: number },
  match: readonly Match[],
  { config, direction, logPrefix, denyPrefix }: ChainContext,
): Rule[] {
  const { accept, pass, drop } = config.marks;
  const marked = (bit: number, then: Action, told: readonly Rule[] = []): Rule[] => [
    { match, action: setMark(bit) },
    ...told,
    { match: [markSet(bit)], action: then },
  ];
  switch (action) {
    case "allow":
      return marked(accept, returns);
    case "pass":
      return marked(pass, returns);
    case "deny": {
      const told = denialLog(direction, denyPrefix(index), [markSet(drop)], config);
      return marked(drop, filterDeny(config), told);
    }
    case "log": {
      const { logActionLimit: limit } = config;
      // Calico's order: packets that do not match count, too.
      const limits: Match[] = limit === undefined ? [] : [{ kind: "limit", ...limit }];
      return [{ match: [...limits, ...match], action: { kind: "log", prefix: logPrefix } }];
    }
    default:
      return assertNever(action);
  }
}

/** LogPrefix may name the tier (%t), kind (%k), name (%n), and name with namespace (%p). */
function expandLogPrefix(
  prefix: string,
  values: Readonly<Record<"t" | "k" | "n" | "p", string>>,
): string {
  return prefix.replace(/%([tknp])/g, (_, letter: "t" | "k" | "n" | "p") => values[letter]);
}
