import type { PolicyStep, RuleStep, TierStep } from "../../policy/verdict.ts";
import { decisionText, nameText } from "../../policy/verdict.ts";
import type { ExplainedCheck, Explanation } from "./explainer.ts";

/** An explanation for people: the verdict first, then the way to it. */
export function explanationText(explanation: Explanation): string {
  const { from, to, port, packet, allowed, decision, checks, notes } = explanation;
  const lines = [
    `${allowed ? "ALLOWED" : "DENIED"} ${from} (${packet.source}) -> ${to} (${packet.destination}) ${port}`,
    `  ${decisionText(decision)}`,
    ...checks.flatMap(checkLines),
    ...notes.map((note) => `\nnote: ${note}`),
  ];
  return `${lines.join("\n")}\n`;
}

const outcomeWords = { allow: "allowed", deny: "denied", continue: "nothing against it" } as const;

function checkLines(check: ExplainedCheck): string[] {
  const { endpoint, direction, stage, node, tiers, profiles, outcome, written, kernel } = check;
  const policies = stage === "normal" ? "" : ` (${stage} policies)`;
  const lines = [
    `\n${direction} of ${nameText(endpoint)} on ${node}${policies}: ${outcomeWords[outcome]}`,
  ];
  lines.push(...tiers.flatMap(tierLines), ...profiles.flatMap((step) => policyLines(step, "  ")));
  lines.push(`  decided by: ${decisionText(check.decision)}`);
  if (written !== undefined)
    lines.push(`  as written: ${written.path} ${JSON.stringify(written.rule)}`);
  if (kernel !== undefined) {
    const { table, chain, hash, packets, bytes } = kernel;
    const counted = packets === undefined ? "" : `, ${packets} packets, ${bytes} bytes`;
    lines.push(`  in the kernel: table ${table}, chain ${chain}, rule cali:${hash}${counted}`);
  }
  return lines;
}

function tierLines({ tier, policies, outcome }: TierStep): string[] {
  return [`  tier ${tier}: ${outcome}`, ...policies.flatMap((step) => policyLines(step, "    "))];
}

function policyLines({ policy, selector, rules }: PolicyStep, indent: string): string[] {
  const by = selector === undefined ? "" : `, selector ${selector}`;
  return [
    `${indent}${nameText(policy)}${by}`,
    ...rules.flatMap((rule) => ruleLines(rule, `${indent}  `)),
  ];
}

function ruleLines(
  { index, action, mismatch, selectors = [] }: RuleStep,
  indent: string,
): string[] {
  const outcome = mismatch === undefined ? "matches" : `no: ${mismatch}`;
  return [
    `${indent}rule ${index} ${action} ${outcome}`,
    ...selectors.map(
      ({ field, selector, matched }) =>
        `${indent}  ${field} ${selector} found ${matched.map(nameText).join(", ")}`,
    ),
  ];
}
