import type { Datastore } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import type { Arguments, OptionSpecs } from "./arguments.ts";
import type { CommandIo } from "./io.ts";

/** What a verb works with. */
export interface VerbContext {
  readonly io: CommandIo;
  readonly clock: Clock;
  random(): number;
  /** Opens the datastore when first asked, so that what is wrong with the input is said first. */
  datastore(): Promise<Datastore>;
  /** From now on Ctrl-C, or that nobody reads on, aborts this instead of ending the process. */
  interrupted(): AbortSignal;
}

/** One verb of the command line. */
export interface Verb {
  readonly summary: string;
  /** After "tortie VERB ", one line a form. */
  readonly usage: readonly string[];
  readonly examples: readonly string[];
  /** Words that may stand after the verb, for completion: the first ones, then the second ones. */
  readonly subcommands?: readonly (readonly string[])[];
  readonly options: OptionSpecs;
  /** @returns the exit code. */
  run(args: Arguments, context: VerbContext): Promise<number>;
}

/** Options of every verb. */
export const commonOptions: OptionSpecs = {
  help: { short: "h", help: "show this" },
  verbose: { help: "show where in the program an error came from" },
  config: {
    short: "c",
    value: "FILE",
    help: "connection to the datastore (CalicoAPIConfig); without it, the environment",
  },
  "log-level": { short: "l", value: "LEVEL" },
  context: { value: "NAME" },
  "allow-version-mismatch": {},
};

export const namespaceOption: OptionSpecs = {
  namespace: {
    short: "n",
    value: "NAMESPACE",
    help: 'namespace of namespaced objects ("default")',
  },
};

/** Options of verbs that read files. */
export const fileOptions: OptionSpecs = {
  filename: {
    short: "f",
    value: "FILE",
    multiple: true,
    help: "file of YAML or JSON, folder of such files, or - for standard input",
  },
  recursive: { short: "R", help: "folders in the folder, too" },
  "skip-empty": { help: "a file without resources is no error" },
  ...namespaceOption,
};
