import { strict as assert } from "node:assert";
import type {
  ActivePolicy,
  DataplaneUpdate,
  EndpointTier,
  IpSetChange,
  ResolvedEntity,
  ResolvedRule,
} from "../../src/felix/calc/updates.ts";

/**
 * A dataplane that only remembers. It holds the graph to its promises: a `remove` follows a `set`, and
 * nothing refers to what is not there, at any moment.
 */
export class DataplaneModel {
  readonly #objects = new Map<string, DataplaneUpdate & { readonly op: "set" }>();

  take(updates: readonly DataplaneUpdate[]): void {
    for (const update of updates) {
      const key = `${update.kind} ${update.id}`;
      if (update.op === "set") this.#objects.set(key, update);
      else if (update.op === "change") this.#change(key, update.value);
      else assert(this.#objects.delete(key), `removed what was never set: ${key}`);
      this.#checkReferences(update);
    }
  }

  /** What comes to a set was not in it, what leaves it was. */
  #change(key: string, { add, remove }: IpSetChange): void {
    const object = this.#objects.get(key);
    assert(object?.kind === "ipSet", `changed what was never set: ${key}`);
    const { members } = object.value;
    assert(members.isDisjointFrom(add), `${key} was given members that it has`);
    assert(members.isSupersetOf(remove), `${key} was to lose members that it lacks`);
    const value = { ...object.value, members: members.difference(remove).union(add) };
    this.#objects.set(key, { ...object, value });
  }

  /** One line an object, and one line a member, rule or tier, sorted: the same for equal states. */
  text(): string {
    return [...this.#objects]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([key, { value }]) =>
          `${key}\n${linesOf(value)
            .map((line) => `  ${line}\n`)
            .join("")}`,
      )
      .join("");
  }

  #checkReferences(update: DataplaneUpdate): void {
    if (update.op === "change") return;
    const check = update.op === "set" ? [update] : [...this.#objects.values()];
    for (const object of check) {
      for (const reference of referencesOf(object)) {
        assert(this.#objects.has(reference), `${object.kind} ${object.id} lacks ${reference}`);
      }
    }
  }
}

function referencesOf(update: DataplaneUpdate & { readonly op: "set" }): string[] {
  switch (update.kind) {
    case "policy":
    case "profile":
      return [...update.value.ingress, ...update.value.egress].flatMap((rule) =>
        [rule.source, rule.destination].flatMap((entity) =>
          [
            ...entity.ipSets,
            ...entity.ipPortSets,
            ...entity.notIpSets,
            ...entity.namedPortSets,
            ...entity.notNamedPortSets,
          ].map((id) => `ipSet ${id}`),
        ),
      );
    case "workloadEndpoint":
      return endpointReferences(update.value.tiers, update.value.profiles);
    case "hostEndpoint": {
      const { tiers, forwardTiers, untrackedTiers, preDnatTiers, profiles } = update.value;
      const all = [...tiers, ...forwardTiers, ...untrackedTiers, ...preDnatTiers];
      return endpointReferences(all, profiles);
    }
    default:
      return [];
  }
}

function endpointReferences(tiers: readonly EndpointTier[], profiles: readonly string[]): string[] {
  const policies = tiers.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  return [...policies.map((id) => `policy ${id}`), ...profiles.map((name) => `profile ${name}`)];
}

function linesOf(value: object): string[] {
  if ("members" in value) {
    const { type, members } = value as { type: string; members: ReadonlySet<string> };
    return [type, ...[...members].sort()];
  }
  return Object.entries(value).flatMap(([field, content]) => {
    if (field === "ingress" || field === "egress") {
      return (content as ActivePolicy["ingress"]).map((rule) => `${field}: ${ruleText(rule)}`);
    }
    if (/tiers$/i.test(field)) {
      const word = field.replace(/s$/, "");
      return (content as object[]).map((tier) => `${word} ${JSON.stringify(tier)}`);
    }
    if (content instanceof Set) return [`${field}: ${[...content].sort().join(" ")}`];
    return [`${field}: ${JSON.stringify(content)}`];
  });
}

function ruleText({ source, destination, ...rule }: ResolvedRule): string {
  return [JSON.stringify(rule), entityText("from", source), entityText("to", destination)]
    .filter((text) => text !== "")
    .join(" ");
}

function entityText(word: string, entity: ResolvedEntity): string {
  const given = Object.entries(entity).filter(([, list]) => (list as unknown[]).length > 0);
  return given.length === 0 ? "" : `${word} ${JSON.stringify(Object.fromEntries(given))}`;
}
