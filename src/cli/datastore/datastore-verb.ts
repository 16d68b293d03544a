import type { AnyResource } from "../../api/resource-of-kind.ts";
import { datastoreType } from "../../datastore/open-datastore.ts";
import type { Clock } from "../../lib/clock.ts";
import { groupBy } from "../../lib/collections.ts";
import { InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import { clientEnvironment } from "../client-config.ts";
import { readInput } from "../documents.ts";
import type { CommandIo } from "../io.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { exportDatastore } from "./export.ts";
import { carryOutImport, readPresent } from "./import.ts";
import { planImport } from "./import-plan.ts";
import { setLock } from "./lock.ts";
import { migrationText, parseMigration } from "./migration-file.ts";

/** Of `export`: of some 500,000 allocations. */
const maxFileBytes = 256 * 1024 * 1024;
/** Between two lines about how far it is. */
const progressMs = 2_000;

type Subcommand = (args: Arguments, context: VerbContext) => Promise<number>;

const subcommands: Readonly<Record<string, Subcommand>> = {
  export: runExport,
  import: runImport,
  lock: (_args, context) => runLock(context, true),
  unlock: (_args, context) => runLock(context, false),
};

/** `datastore migrate` as calicoctl has it (facts 7.3), between any two datastores. */
export const datastoreVerb: Verb = {
  summary: "move everything from one datastore to another",
  usage: [
    "migrate lock",
    "migrate export > FILE",
    "migrate import -f FILE [--dry-run]",
    "migrate unlock",
  ],
  examples: [
    "tortie datastore migrate lock -c old.cfg",
    "tortie datastore migrate export -c old.cfg > all.yaml",
    "tortie datastore migrate import -c new.cfg -f all.yaml",
    "tortie datastore migrate unlock -c new.cfg   (when every node uses the new one)",
  ],
  subcommands: [["migrate"], Object.keys(subcommands)],
  options: {
    filename: { short: "f", value: "FILE", help: "import: the file of export, or - for stdin" },
    "dry-run": { help: "import: check everything, and write nothing" },
  },
  run: async (args, context) => {
    const [group = "", name = "", extra] = args.words;
    const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
    if (group !== "migrate" || subcommand === undefined) {
      const known = Object.keys(subcommands).join(", migrate ");
      const given = `datastore ${group} ${name}`.trimEnd();
      throw new InputError(`Cannot run "${given}": it must be one of migrate ${known}`);
    }
    if (extra !== undefined) throw new InputError(`Cannot accept "${extra}" after ${name}`);
    if (name !== "import" && (args.has("filename") || args.has("dry-run"))) {
      throw new InputError(`Cannot accept -f or --dry-run: they are of import, not ${name}`);
    }
    return subcommand(args, context);
  },
};

async function runLock({ io, datastore }: VerbContext, locked: boolean): Promise<number> {
  await setLock(await datastore(), locked);
  io.stdout.write(locked ? "Datastore locked.\n" : "Datastore unlocked.\n");
  return 0;
}

/** Nothing is printed before everything is read and found sound. */
async function runExport(_args: Arguments, { io, datastore }: VerbContext): Promise<number> {
  const migration = await exportDatastore(await datastore());
  io.stdout.write(migrationText(migration));
  const { resources, cluster } = migration;
  io.stderr.write(`Exported ${countText([cluster, ...resources])}\n`);
  return 0;
}

async function runImport(args: Arguments, context: VerbContext): Promise<number> {
  const { io, clock } = context;
  const filename = args.value("filename");
  if (filename === undefined) throw new InputError("Cannot go on without -f FILE");
  const text = await readInput(filename, io, maxFileBytes);
  const migration = await parseMigration(text, filename === "-" ? "stdin" : filename);
  const kubernetes = await isKubernetes(args, io);
  const datastore = await context.datastore();
  const plan = planImport(migration, await readPresent(datastore), { kubernetes });
  const all = [plan.cluster, ...plan.nodes, ...plan.create];
  const say = (line: string) => io.stdout.write(`${line}\n`);
  if (plan.done > 0) say(`An earlier import has written ${plan.done} objects.`);
  if (plan.passedOver.length > 0) say(`Kubernetes keeps its own: ${countText(plan.passedOver)}`);
  if (args.has("dry-run")) {
    say(`Would import ${countText(all)}`);
    return 0;
  }
  const missing = await carryOutImport(plan, datastore, progressLine(io, clock, all.length));
  for (const { metadata } of missing) {
    io.stderr.write(`Warning: Kubernetes has no node "${metadata.name}": it was passed over\n`);
  }
  const done = new Set<AnyResource>(missing);
  say(`Successfully imported ${countText(all.filter((resource) => !done.has(resource)))}`);
  say("The datastore is locked. When every node uses it: tortie datastore migrate unlock");
  return 0;
}

async function isKubernetes(args: Arguments, io: CommandIo): Promise<boolean> {
  const env = await clientEnvironment(args.value("config"), io.env);
  return datastoreType(env) === "kubernetes";
}

function progressLine(io: CommandIo, clock: Clock, total: number): (written: number) => void {
  let saidAt = clock.now();
  return (written) => {
    if (clock.now() - saidAt < progressMs) return;
    saidAt = clock.now();
    io.stderr.write(`${written} of ${total} objects are imported\n`);
  };
}

/** "3 objects: 2 IPPool, 1 Tier" */
function countText(resources: readonly AnyResource[]): string {
  const kinds = [...groupBy(resources, ({ kind }) => kind)];
  const listed = kinds.map(([kind, all]) => `${all.length} ${kind}`).join(", ");
  return `${resources.length} objects: ${listed}`;
}
