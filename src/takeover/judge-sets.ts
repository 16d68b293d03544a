import type { FelixDryRun } from "../felix/dry-run.ts";
import type { SetDifference } from "../kernel/dry/dry-ip-sets.ts";
import type { Area, Finding } from "./finding.ts";

const shown = 5;

/** IP sets of one family. */
export function judgeSets({ family, equal, differences }: FelixDryRun["sets"][number]): Area {
  return { name: `IP sets IPv${family}`, equal, findings: differences.map(judge), notes: [] };
}

function judge({ name, op, added, removed }: SetDifference): Finding {
  const what = `set ${name}`;
  switch (op) {
    case "add":
      return {
        change: "added",
        what: `${what} with ${added.length} members`,
        interrupts: false,
        why: "it is filled before a rule matches on it",
      };
    case "remove":
      return {
        change: "removed",
        what,
        interrupts: false,
        why: "no rule would match on it any more",
      };
    case "change":
    case "replace": {
      const members = memberText(added, removed);
      if (members === "") {
        const why = "it has another type or size and the same members: replaced by a swap";
        return { change: "replaced", what, interrupts: false, why };
      }
      const why = `rules that match on it would decide otherwise for ${members}`;
      return { change: "replaced", what, interrupts: true, why };
    }
  }
}

function memberText(added: readonly string[], removed: readonly string[]): string {
  const text = (members: readonly string[], verb: string) => {
    if (members.length === 0) return [];
    const some = members.slice(0, shown).join(", ");
    const more = members.length > shown ? ` and ${members.length - shown} more` : "";
    return [`${some}${more}, which ${verb}`];
  };
  return [...text(added, "would come in"), ...text(removed, "would go")].join("; ");
}
