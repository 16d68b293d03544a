import type { RoutingRule } from "../kernel.ts";
import { attributesOf, type MessageWriter, u32Of } from "../netlink/message.ts";
import { addressFamilies, familyOf } from "./route-message.ts";

/** Routing policy rules as rtnetlink messages (linux/fib_rules.h, struct fib_rule_hdr). */

export const ruleMessage = { new: 32, delete: 33, get: 34 } as const;

const attribute = { priority: 6, mark: 10, table: 15, mask: 16 };
/** What a RoutingRule cannot say: iif, oif, tunnel id, l3mdev, uid range, protocol, ports. */
const otherSelectors = [3, 17, 12, 19, 20, 22, 23, 24];
const actionToTable = 1;
const flagInvert = 2;

export function writeRule(writer: MessageWriter, rule: RoutingRule): void {
  const header = Buffer.alloc(12);
  header[0] = addressFamilies[rule.family];
  header[4] = rule.table < 256 ? rule.table : 0;
  header[7] = actionToTable;
  header.writeUInt32LE(rule.invert === true ? flagInvert : 0, 8);
  writer.header(header);
  writer.u32(attribute.priority, rule.priority);
  writer.u32(attribute.table, rule.table);
  if (rule.mark !== undefined) writer.u32(attribute.mark, rule.mark);
  if (rule.mask !== undefined) writer.u32(attribute.mask, rule.mask);
}

/** Undefined for rules that do else than point to a table, or select by more than a mark. */
export function readRule(body: Buffer): RoutingRule | undefined {
  const family = familyOf(body[0]);
  if (family === undefined || body.length < 12 || body[7] !== actionToTable) return undefined;
  const attributes = attributesOf(body, 12);
  const bySubnetOrTos = body.subarray(1, 4).some((octet) => octet !== 0);
  if (bySubnetOrTos || otherSelectors.some((type) => selects(attributes.get(type))))
    return undefined;
  const mark = u32Of(attributes.get(attribute.mark));
  const mask = u32Of(attributes.get(attribute.mask));
  return {
    family,
    priority: u32Of(attributes.get(attribute.priority)) ?? 0,
    table: u32Of(attributes.get(attribute.table)) ?? body[4] ?? 0,
    ...(mark === undefined ? {} : { mark }),
    ...(mask === undefined ? {} : { mask }),
    ...((body.readUInt32LE(8) & flagInvert) !== 0 ? { invert: true } : {}),
  };
}

/** The kernel lists some selectors of every rule, with zeros for "any". */
function selects(value: Buffer | undefined): boolean {
  return value?.some((octet) => octet !== 0) ?? false;
}
