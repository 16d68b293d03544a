import type { KernelChange } from "../kernel/dry/kernel-change.ts";
import type { FdbEntry, KernelNeighbor, RoutingRule } from "../kernel/kernel.ts";
import type { Finding } from "./finding.ts";
import type { LinkNames } from "./judge-routes.ts";

/** Static neighbors of pods and of other nodes' tunnel ends. */
export function judgeNeighbors(
  changes: readonly KernelChange[],
  before: readonly KernelNeighbor[],
  names: LinkNames,
): Finding[] {
  return changes.flatMap((change): Finding[] => {
    if (change.kind !== "neighbor") return [];
    const { ifindex, address, mac } = change.neighbor;
    const what = `neighbor ${address} ${mac ?? ""} on ${names.get(ifindex) ?? ifindex}`;
    const old = before.find((one) => one.ifindex === ifindex && one.address === address);
    if (change.op === "remove") {
      const why = "no endpoint and no node has this address there: packets to it are sent now";
      return [{ change: "removed", what, interrupts: true, why }];
    }
    if (old?.mac === undefined || old.mac === mac) {
      return [{ change: "added", what, interrupts: false, why: "it is not there now" }];
    }
    const why = `packets to it go to ${old.mac} now, which is not what the datastore says`;
    return [{ change: "replaced", what, interrupts: true, why }];
  });
}

/** What VXLAN devices know of other nodes. */
export function judgeForwarding(
  changes: readonly KernelChange[],
  before: readonly FdbEntry[],
  names: LinkNames,
): Finding[] {
  return changes.flatMap((change): Finding[] => {
    if (change.kind !== "fdb") return [];
    const { ifindex, mac, destination } = change.entry;
    const what = `forwarding entry ${mac} to ${destination} on ${names.get(ifindex) ?? ifindex}`;
    const old = before.find((one) => one.ifindex === ifindex && one.mac === mac);
    if (change.op === "remove") {
      const why = "no node of the datastore has this MAC address";
      return [{ change: "removed", what, interrupts: true, why }];
    }
    if (old === undefined) {
      return [{ change: "added", what, interrupts: false, why: "it is not there now" }];
    }
    const why = `packets to it go to ${old.destination} now, which is not what the datastore says`;
    return [{ change: "replaced", what, interrupts: true, why }];
  });
}

/** Routing rules: WireGuard's lead packets into its table. */
export function judgeRules(changes: readonly KernelChange[]): Finding[] {
  const rules = changes.filter((change) => change.kind === "rule");
  const text = ({ family, priority, table, mark, mask, invert }: RoutingRule) => {
    const marked =
      mark === undefined ? "" : ` fwmark 0x${mark.toString(16)}/0x${(mask ?? 0).toString(16)}`;
    return `IPv${family} rule ${priority}:${invert === true ? " not" : ""}${marked} lookup ${table}`;
  };
  const hasOther = ({ op, rule }: (typeof rules)[number]) =>
    rules.some(
      (other) =>
        other.op !== op && other.rule.family === rule.family && other.rule.table === rule.table,
    );
  return rules.map((change): Finding => {
    const { op, rule } = change;
    const interrupts = !hasOther(change);
    const elsewhere =
      op === "set"
        ? "packets that go by the main table now would go by this one"
        : "packets would go by the main table";
    const why = interrupts ? elsewhere : "another leads to the same table";
    return { change: op === "set" ? "added" : "removed", what: text(rule), interrupts, why };
  });
}
