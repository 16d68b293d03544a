import { InputError } from "../lib/errors.ts";
import type { Arguments } from "./arguments.ts";
import { editObject } from "./edit.ts";
import { jsonPatch, mergePatch } from "./json-patch.ts";
import {
  objectError,
  requireWritable,
  type Target,
  targetOfName,
  viewOfArgument,
} from "./targets.ts";
import { namespaceOption, type Verb, type VerbContext } from "./verb.ts";
import { titleOf } from "./views.ts";

export const patchVerb: Verb = {
  summary: "change fields of a resource",
  usage: ["KIND NAME -p PATCH [-t merge|json|strategic] [-n NAMESPACE]"],
  examples: [
    `tortie patch ippool a -p '{"spec":{"natOutgoing":true}}'`,
    `tortie patch ippool a -t json -p '[{"op":"remove","path":"/spec/nodeSelector"}]'`,
  ],
  options: {
    patch: { short: "p", value: "JSON", help: "the patch" },
    type: {
      short: "t",
      value: "TYPE",
      help: "strategic (default; the same as merge here), merge (RFC 7396) or json (RFC 6902)",
    },
    ...namespaceOption,
  },
  run: async (args, context) => {
    const target = namedTarget("patch", args);
    const [, , extra] = args.words;
    if (extra !== undefined)
      throw new InputError(`Cannot patch more than one name, got "${extra}"`);
    const patch = patchOf(args);
    await edit("patch", target, patch, context);
    context.io.stdout.write(`Successfully patched 1 '${target.as.kind}' resource\n`);
    return 0;
  },
};

export const labelVerb: Verb = {
  summary: "set or remove a label of a resource",
  usage: [
    "KIND NAME KEY=VALUE... [--overwrite] [-n NAMESPACE]",
    "KIND NAME KEY... --remove [-n NAMESPACE]",
  ],
  examples: ["tortie label node node1 rack=a1", "tortie label node node1 rack --remove"],
  options: {
    overwrite: { help: "change a label that has another value" },
    remove: { help: "remove the labels" },
    ...namespaceOption,
  },
  run: async (args, context) => {
    const target = namedTarget("label", args);
    const labels = args.words.slice(2);
    if (labels.length === 0)
      throw new InputError("Cannot label without KEY=VALUE, or KEY --remove");
    const change = labelChange(labels, args);
    await edit("label", target, change, context);
    const done = args.has("remove") ? "removed" : "set";
    for (const label of labels) {
      const key = label.split("=")[0];
      context.io.stdout.write(`Successfully ${done} label ${key} on ${titleOf(target.as)}\n`);
    }
    return 0;
  },
};

type Edit = (object: unknown) => unknown;

async function edit(
  verb: string,
  target: Target,
  change: Edit,
  context: VerbContext,
): Promise<void> {
  const { clock, random } = context;
  try {
    await editObject(target, change, { datastore: await context.datastore(), clock, random });
  } catch (error) {
    throw objectError(verb, target.as, error);
  }
}

function namedTarget(verb: string, args: Arguments): Target {
  const [word, name] = args.words;
  const view = viewOfArgument(word, args);
  if (name === undefined) throw new InputError(`Cannot ${verb} ${view.kind} without a name`);
  const target = targetOfName(view, name, args.value("namespace"));
  requireWritable(verb, target);
  return target;
}

function patchOf(args: Arguments): Edit {
  const text = args.value("patch");
  if (text === undefined) throw new InputError("Cannot patch without -p PATCH");
  let patch: unknown;
  try {
    patch = JSON.parse(text);
  } catch (error) {
    throw new InputError("Cannot accept --patch: it is no JSON", { cause: error });
  }
  const type = args.value("type") ?? "strategic";
  switch (type) {
    case "json":
      return (object) => jsonPatch(object, patch);
    case "merge":
    case "strategic":
      if (typeof patch !== "object" || patch === null || Array.isArray(patch)) {
        throw new InputError(`Cannot accept --patch: of type ${type} it must be an object`);
      }
      return (object) => mergePatch(object, patch);
    default:
      throw new InputError(`Cannot accept --type "${type}": it must be strategic, merge or json`);
  }
}

function labelChange(labels: readonly string[], args: Arguments): Edit {
  const removing = args.has("remove");
  for (const label of labels) {
    if (label.includes("=") !== removing) continue;
    const wanted = removing ? "KEY with --remove" : "KEY=VALUE, or KEY with --remove";
    throw new InputError(`Cannot accept label "${label}": it must be ${wanted}`);
  }
  return (object) => {
    const { metadata } = object as { metadata: { labels?: Readonly<Record<string, string>> } };
    const result = new Map(Object.entries(metadata.labels ?? {}));
    for (const label of labels) {
      const [key = "", ...rest] = label.split("=");
      const value = rest.join("=");
      if (removing) {
        if (!result.delete(key))
          throw new InputError(`Cannot remove label ${key}: it is not there`);
        continue;
      }
      const present = result.get(key);
      if (present !== undefined && present !== value && !args.has("overwrite")) {
        throw new InputError(
          `Cannot set label ${key}: it is "${present}", and --overwrite is not given`,
        );
      }
      result.set(key, value);
    }
    return {
      ...(object as object),
      metadata: { ...metadata, labels: Object.fromEntries(result) },
    };
  };
}
