/** What a take-over of the node would do to one thing, and what becomes of packets meanwhile. */
export interface Finding {
  readonly change: "added" | "removed" | "replaced";
  /** "route 10.65.1.0/26 via 192.168.1.12 dev eth0 proto 80" */
  readonly what: string;
  /** Traffic that flows now would stop, or flow otherwise, for a while or for good. */
  readonly interrupts: boolean;
  /** In words, for people. */
  readonly why: string;
}

/** One part of what makes the node, and how it compares with what tortie would make of it. */
export interface Area {
  readonly name: string;
  /** Things that would stay as they are. */
  readonly equal: number;
  readonly findings: readonly Finding[];
  /** What nobody would change, and whoever takes over should know. */
  readonly notes: readonly string[];
  /** It could not be read, or not wholly. */
  readonly error?: string;
}

export const verdicts = {
  safe: "nothing that flows now would be interrupted",
  interrupts: "what is marked ! would interrupt traffic",
  unreadable: "not all could be read: there is no verdict",
} as const;

export type Verdict = keyof typeof verdicts;

export const exitCodes: Readonly<Record<Verdict, number>> = {
  safe: 0,
  interrupts: 1,
  unreadable: 2,
};

/** What is not known may be anything. */
export function verdictOf(areas: readonly Area[]): Verdict {
  if (areas.some(({ error }) => error !== undefined)) return "unreadable";
  const interrupts = areas.some(({ findings }) => findings.some((each) => each.interrupts));
  return interrupts ? "interrupts" : "safe";
}
