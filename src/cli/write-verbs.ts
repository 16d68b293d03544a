import type { ManifestItem } from "../api/manifest.ts";
import { keyOf } from "../api/resource-key.ts";
import type { FelixConfiguration } from "../api/resources/felix-configuration.ts";
import { isDatastoreError } from "../datastore/datastore.ts";
import { felixConfig } from "../felix/config/felix-config.ts";
import { InputError } from "../lib/errors.ts";
import type { Arguments, OptionSpecs } from "./arguments.ts";
import { firstOf } from "./edit.ts";
import { reportOutcome, type VerbWords } from "./outcome.ts";
import { applyItem, createItem, deleteObject, replaceItem, type StorePorts } from "./store-item.ts";
import {
  endsCommand,
  itemsOfFiles,
  objectError,
  requireWritable,
  type Target,
  targetOfItem,
  targetOfName,
  viewOfArgument,
} from "./targets.ts";
import { fileOptions, type Verb, type VerbContext } from "./verb.ts";
import { titleOf } from "./views.ts";

export const applyVerb: Verb = fileVerb(["apply", "applied"], {
  summary: "create resources, or replace them",
  handle: applyItem,
});

export const createVerb: Verb = fileVerb(["create", "created"], {
  summary: "create resources that do not exist",
  options: { "skip-exists": { help: "what exists already is no error" } },
  handle: createItem,
  forgives: (error, args) => args.has("skip-exists") && isDatastoreError(error, "already-exists"),
});

export const replaceVerb: Verb = fileVerb(["replace", "replaced"], {
  summary: "replace resources that exist",
  handle: replaceItem,
});

export const validateVerb: Verb = {
  summary: "check resources without a datastore",
  usage: ["-f FILE... [-R] [--skip-empty] [-n NAMESPACE]"],
  examples: ["tortie validate -f policies/ -R"],
  options: fileOptions,
  run: async (args, { io }) => {
    const items = await requireItems(args, { io });
    const errors = items.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
    const kinds = items.map(({ as }) => as.kind);
    const handled = items.length - errors.length;
    return reportOutcome({ kinds, handled, errors }, ["validate", "validated"], io);
  },
};

export const deleteVerb: Verb = {
  summary: "delete resources",
  usage: ["-f FILE... [-R] [--skip-empty] [-s] [-n NAMESPACE]", "KIND NAME... [-s] [-n NAMESPACE]"],
  examples: ["tortie delete -f policy.yaml", "tortie delete gnp foo bar"],
  options: {
    ...fileOptions,
    "skip-not-exists": { short: "s", help: "what does not exist is no error" },
  },
  run: async (args, context) => {
    const targets = args.has("filename")
      ? (await requireItems(args, context)).map(targetOfItem)
      : namedTargets(args);
    return handleEach(targets, ["delete", "deleted"], context, {
      handle: async (target, ports) => {
        requireWritable("delete", target);
        const { resourceVersion } = target;
        const key = keyOf(await firstOf(target.keys, ports));
        const version = resourceVersion === undefined ? {} : { resourceVersion };
        const companions = target.view.companions(target.as.name);
        await deleteObject(key, companions, { ...ports, ...version });
      },
      forgives: (error) => args.has("skip-not-exists") && isDatastoreError(error, "not-found"),
    });
  },
};

function fileVerb(
  words: VerbWords,
  parts: {
    readonly summary: string;
    readonly options?: OptionSpecs;
    handle(item: ManifestItem, ports: StorePorts): Promise<void>;
    forgives?(error: unknown, args: Arguments): boolean;
  },
): Verb {
  const [verb] = words;
  return {
    summary: parts.summary,
    usage: ["-f FILE... [-R] [--skip-empty] [-n NAMESPACE]"],
    examples: [`tortie ${verb} -f policy.yaml`, `cat pool.json | tortie ${verb} -f -`],
    options: { ...fileOptions, ...parts.options },
    run: async (args, context) => {
      const items = await requireItems(args, context);
      const targets = items.map((item) => ({ ...targetOfItem(item), item }));
      return handleEach(targets, words, context, {
        handle: async (target, ports) => {
          if (target.item.problem !== undefined) throw target.item.problem;
          requireWritable(verb, target);
          await parts.handle(target.item, ports);
          warnOfIdleParts(target, context);
        },
        forgives: (error) => parts.forgives?.(error, args) === true,
      });
    },
  };
}

/** Fails open otherwise: an operator would believe that what was accepted has an effect. */
function warnOfIdleParts(
  { as, item }: Target & { readonly item: ManifestItem },
  { io }: VerbContext,
): void {
  const [resource] = item.resources;
  if (resource?.kind !== "FelixConfiguration") return;
  const problem = felixProblem(resource.spec);
  if (problem !== undefined) io.stderr.write(`Warning: ${titleOf(as)} is kept, but ${problem}\n`);
}

function felixProblem(spec: FelixConfiguration["spec"]): string | undefined {
  try {
    const { ignored, problems } = felixConfig({ global: spec, env: {} });
    if (problems.length > 0) return `felix cannot use it: ${problems.join("; ")}`;
    return ignored.length === 0 ? undefined : `tortie does not act on ${ignored.join(", ")}`;
  } catch (error) {
    if (error instanceof InputError) return `felix cannot use it: ${error.message}`;
    throw error;
  }
}

/** One object after the other. An error of one does not stop the rest (facts 7.3). */
async function handleEach<T extends Target>(
  targets: readonly T[],
  words: VerbWords,
  context: VerbContext,
  act: {
    handle(target: T, ports: StorePorts): Promise<void>;
    forgives(error: unknown): boolean;
  },
): Promise<number> {
  const kinds = targets.map(({ as }) => as.kind);
  if (targets.length === 0) {
    return reportOutcome({ kinds, handled: 0, errors: [] }, words, context.io);
  }
  const { clock, random } = context;
  const ports: StorePorts = { datastore: await context.datastore(), clock, random };
  const errors: unknown[] = [];
  let handled = 0;
  for (const target of targets) {
    try {
      await act.handle(target, ports);
      handled++;
    } catch (error) {
      if (act.forgives(error)) handled++;
      else errors.push(objectError(words[0], target.as, error));
      if (endsCommand(error)) break;
    }
  }
  return reportOutcome({ kinds, handled, errors }, words, context.io);
}

async function requireItems(
  args: Arguments,
  { io }: Pick<VerbContext, "io">,
): Promise<ManifestItem[]> {
  const [word] = args.words;
  if (word !== undefined) {
    throw new InputError(`Cannot accept "${word}": files are named with -f FILE`);
  }
  if (!args.has("filename")) throw new InputError("Cannot go on without -f FILE");
  return itemsOfFiles(args, io);
}

function namedTargets(args: Arguments): Target[] {
  const [word, ...names] = args.words;
  const view = viewOfArgument(word, args);
  if (names.length === 0) throw new InputError(`Cannot delete ${view.kind} without a name`);
  return names.map((name) => targetOfName(view, name, args.value("namespace")));
}
