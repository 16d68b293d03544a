import type { IpFamily } from "../../lib/ip-addr.ts";
import type { TurnTaking } from "../../lib/turns.ts";

export type IpSetType = "hash:net" | "hash:ip" | "hash:ip,port";

/** A set as the kernel holds it. */
export interface KernelSet {
  readonly type: IpSetType;
  /** How many members it may have. */
  readonly maxElements: number;
  /** In the kernel's form: "10.0.0.1/32" in sets of nets and addresses, "10.0.0.1,tcp:80". */
  readonly members: ReadonlySet<string>;
}

export interface DesiredSet {
  readonly type: IpSetType;
  /** "10.0.0.0/26", or "10.0.0.1,tcp:80". Those of the other family are passed over. */
  readonly members: ReadonlySet<string>;
  /** How many members the kernel lets in. Default 1048576. */
  readonly maxElements?: number;
}

export interface SetChange {
  readonly add: ReadonlySet<string>;
  readonly remove: ReadonlySet<string>;
}

/** What cannot be changed in place is the same. */
export function sameMetadata(a: KernelSet, b: KernelSet): boolean {
  return a.type === b.type && a.maxElements === b.maxElements;
}

/**
 * Members of one family as the kernel lists them; those of the other are passed over. A set of nets
 * cannot hold /0: two /1 are the same. Hot: 100,000 members are usual, so the text is not parsed.
 */
export function* kernelMembers(members: Iterable<string>, family: IpFamily): Generator<string> {
  for (const member of members) {
    const comma = member.indexOf(",");
    const isV6 = (comma < 0 ? member : member.slice(0, comma)).includes(":");
    if (isV6 !== (family === 6)) continue;
    if (comma >= 0) yield member;
    else if (member.endsWith("/0")) yield* halves[family];
    else yield member.includes("/") ? member : `${member}/${family === 4 ? 32 : 128}`;
  }
}

/** Members of `a` that `b` lacks. A million of them are not compared in one turn of the event loop. */
export async function missingMembers(
  a: ReadonlySet<string>,
  b: ReadonlySet<string>,
  turns: TurnTaking,
): Promise<string[]> {
  const missing: string[] = [];
  for (const member of a) {
    if (!b.has(member)) missing.push(member);
    if (turns.isOver) await turns.next();
  }
  return missing;
}

const halves: Readonly<Record<IpFamily, readonly string[]>> = {
  4: ["0.0.0.0/1", "128.0.0.0/1"],
  6: ["::/1", "8000::/1"],
};
