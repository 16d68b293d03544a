import type { Datastore } from "../datastore/datastore.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { optionsHelp, parseArguments } from "./arguments.ts";
import { clientEnvironment } from "./client-config.ts";
import { completionVerb } from "./completion.ts";
import { datastoreVerb } from "./datastore/datastore-verb.ts";
import { labelVerb, patchVerb } from "./edit-verbs.ts";
import { getVerb } from "./get-verb.ts";
import type { CommandIo } from "./io.ts";
import { ipamVerb } from "./ipam/ipam-verb.ts";
import { policyVerb } from "./policy/policy-verb.ts";
import { datastoreAway, endsCommand } from "./targets.ts";
import { commonOptions, type Verb, type VerbContext } from "./verb.ts";
import { viewWords } from "./views.ts";
import { applyVerb, createVerb, deleteVerb, replaceVerb, validateVerb } from "./write-verbs.ts";

const verbs: Readonly<Record<string, Verb>> = {
  get: getVerb,
  apply: applyVerb,
  create: createVerb,
  replace: replaceVerb,
  patch: patchVerb,
  label: labelVerb,
  delete: deleteVerb,
  validate: validateVerb,
  ipam: ipamVerb,
  policy: policyVerb,
  datastore: datastoreVerb,
  completion: completionVerb(() => verbs),
};

/** The verbs, each with one line about it, for the list of commands. */
export const resourceVerbs: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(verbs).map(([verb, { summary }]) => [verb, summary]),
);

/** What a test puts in the place of the world. */
export interface CommandPorts {
  openDatastore(env: CommandIo["env"]): Promise<Datastore>;
  readonly clock: Clock;
  random(): number;
  readonly signal: AbortSignal;
}

/**
 * Runs one verb as calicoctl would (facts 7.3): `argv` is the verb and its arguments. Says what is
 * wrong in one message on stderr, with a stack trace only when --verbose asks for it.
 *
 * @returns the exit code: 0, or 1 when anything failed.
 */
export async function runResourceCommand(
  argv: readonly string[],
  io: CommandIo,
  ports: Partial<CommandPorts> = {},
): Promise<number> {
  const [name = "", ...rest] = argv;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb !== undefined) return runVerb({ name, verb }, rest, io, ports);
  io.stderr.write(`Cannot run "${name}": there is no such verb\n`);
  return 1;
}

/** Runs a verb that is called by `name`; for the rest as `runResourceCommand`. */
export async function runVerb(
  { name, verb }: { readonly name: string; readonly verb: Verb },
  argv: readonly string[],
  io: CommandIo,
  ports: Partial<CommandPorts> = {},
): Promise<number> {
  let opened: Promise<Datastore> | undefined;
  const interruption = new Interruption(io);
  try {
    const args = parseArguments(argv, { ...verb.options, ...commonOptions });
    if (args.has("help")) {
      io.stdout.write(helpText(name, verb));
      return 0;
    }
    const open = async () => {
      const env = await clientEnvironment(args.value("config"), io.env);
      return (ports.openDatastore ?? openFromEnvironment)(env);
    };
    const context: VerbContext = {
      io,
      clock: ports.clock ?? systemClock,
      random: ports.random ?? Math.random,
      interrupted: () => ports.signal ?? interruption.listen(),
      datastore: () => {
        opened ??= open();
        return opened;
      },
    };
    return await verb.run(args, context);
  } catch (error) {
    io.stderr.write(`${errorText(error, argv)}\n`);
    return 1;
  } finally {
    interruption.ignore();
    await opened?.then((datastore) => datastore.close()).catch(() => undefined);
  }
}

/** Ctrl-C, or a reader of our output that has gone. */
class Interruption {
  readonly #controller = new AbortController();
  readonly #io: CommandIo;
  readonly #abort = (): void => this.#controller.abort();

  constructor(io: CommandIo) {
    this.#io = io;
  }

  listen(): AbortSignal {
    process.once("SIGINT", this.#abort);
    if (this.#io.stdout === process.stdout) process.stdout.once("error", this.#abort);
    return this.#controller.signal;
  }

  ignore(): void {
    process.off("SIGINT", this.#abort);
  }
}

async function openFromEnvironment(env: CommandIo["env"]): Promise<Datastore> {
  const { openDatastore } = await import("../datastore/open-datastore.ts");
  return openDatastore(env);
}

function errorText(error: unknown, argv: readonly string[]): string {
  if (argv.includes("--verbose") && error instanceof Error) return error.stack ?? error.message;
  return errorMessage(endsCommand(error) ? datastoreAway(error as Error) : error);
}

function helpText(name: string, verb: Verb): string {
  const usage = verb.usage.map((form) => `  tortie ${name} ${form}\n`).join("");
  const examples = verb.examples.map((example) => `  ${example}\n`).join("");
  const kinds = verb.usage.some((form) => form.includes("KIND"))
    ? `\nKinds (any case, plural or short):\n  ${viewWords().join(" ")}\n`
    : "";
  return (
    `${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.\n\nUsage:\n${usage}\n` +
    `Examples:\n${examples}${kinds}\nOptions:\n${optionsHelp({ ...verb.options, ...commonOptions })}`
  );
}
