import { errorMessage } from "../lib/errors.ts";
import type { CommandIo } from "./io.ts";

/** How a verb is spelled in messages: ["apply", "applied"]. */
export type VerbWords = readonly [infinitive: string, participle: string];

/** What became of the objects of one command. */
export interface Outcome {
  /** Kinds of all objects, handled or not. */
  readonly kinds: readonly string[];
  readonly handled: number;
  readonly errors: readonly unknown[];
}

/** Says what became of the objects, as facts 7.3 words it, and returns the exit code. */
export function reportOutcome(outcome: Outcome, words: VerbWords, io: CommandIo): number {
  const [infinitive, participle] = words;
  const { kinds, handled, errors } = outcome;
  const total = kinds.length;
  const single = new Set(kinds).size === 1 ? ` '${kinds[0]}'` : "";
  if (total === 0) {
    io.stdout.write("No resources specified\n");
    return 0;
  }
  if (errors.length === 0) {
    io.stdout.write(`Successfully ${participle} ${handled}${single} resource(s)\n`);
    return 0;
  }
  if (handled > 0) {
    io.stdout.write(
      `Partial success: ${participle} ${handled} out of ${total}${single} resources\n`,
    );
    io.stderr.write(`Hit error(s):\n${listed(errors)}`);
  } else if (total === 1) {
    io.stderr.write(`Failed to ${infinitive}${single} resource: ${errorMessage(errors[0])}\n`);
  } else {
    io.stderr.write(`Failed to ${infinitive} any${single} resources:\n${listed(errors)}`);
  }
  return 1;
}

function listed(errors: readonly unknown[]): string {
  return errors.map((error) => `  ${errorMessage(error)}\n`).join("");
}
