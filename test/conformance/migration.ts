import assert from "node:assert/strict";
import { Readable } from "node:stream";
import type { AnyResource, Kind } from "../../src/api/resource-of-kind.ts";
import { migratedKinds } from "../../src/cli/datastore/migrated-kinds.ts";
import { withoutIdentity } from "../../src/cli/datastore/migration-file.ts";
import { runResourceCommand } from "../../src/cli/resource-command.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";

/** Everything of one datastore goes to another, by the command line. */

export interface Store {
  readonly type: "embedded" | "etcdv3" | "kubernetes";
  open(): Promise<Datastore>;
}

export const everything: readonly Kind[] = ["ClusterInformation", ...migratedKinds];

export async function run(store: Store, command: string, input = ""): Promise<string> {
  const { code, out, err } = await attempt(store, command, input);
  assert.equal(code, 0, err);
  return out;
}

async function attempt(
  store: Store,
  command: string,
  input: string,
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([input]),
    env: { DATASTORE_TYPE: store.type },
  };
  const argv = ["datastore", "migrate", ...command.split(" ")];
  const code = await runResourceCommand(argv, io, { openDatastore: () => store.open() });
  return { code, out, err };
}

/** What a command that must fail says. */
export async function refusal(store: Store, command: string, input = ""): Promise<string> {
  const { code, err } = await attempt(store, command, input);
  assert.equal(code, 1);
  return err;
}

/** Objects by kind and name, without what each datastore gives anew. */
export async function contents(
  store: Store,
  kinds: readonly Kind[],
): Promise<Record<string, unknown>> {
  const datastore = await store.open();
  const found: Record<string, unknown> = {};
  for (const kind of kinds) {
    for (const resource of (await datastore.list(kind)).items as readonly AnyResource[]) {
      const { metadata } = withoutIdentity(resource);
      const spec = { ...resource.spec } as { deleted?: boolean; strictAffinity?: boolean };
      assert.notEqual(spec.deleted, true);
      delete spec.deleted;
      // A CRD of a block must have it, and a resource need not.
      if (kind === "IPAMBlock" && spec.strictAffinity === false) delete spec.strictAffinity;
      found[`${kind} ${metadata.namespace ?? ""}/${metadata.name}`] = {
        ...resource,
        metadata,
        spec,
      };
    }
  }
  await datastore.close();
  return found;
}

export async function move(from: Store, to: Store): Promise<void> {
  const text = await run(from, "export");
  await run(to, "import -f -", text);
  // What is there already is found to be so: nothing is written twice.
  assert.match(await run(to, "import -f - --dry-run", text), /An earlier import has written \d\d/);
}
