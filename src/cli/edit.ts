import { readManifest } from "../api/manifest.ts";
import { keyOf, type ResourceKey } from "../api/resource-key.ts";
import type { AnyResource, Kind } from "../api/resource-of-kind.ts";
import { checkResource, problemsError } from "../api/validate.ts";
import { isDatastoreError } from "../datastore/datastore.ts";
import { InputError } from "../lib/errors.ts";
import type { StorePorts } from "./store-item.ts";
import type { View } from "./views.ts";
import { checkUpdate } from "./write-rules.ts";

/** Tries of an edit when others write too. */
const maxAttempts = 10;

/**
 * Changes one object in the form that its author knows, and writes it back: read, edit, check, and
 * again when somebody else wrote in between.
 *
 * @throws {DatastoreError} not-found, conflict; {InputError} when the result is not acceptable.
 */
export async function editObject(
  target: { readonly view: View; readonly keys: readonly ResourceKey[] },
  edit: (object: unknown) => unknown,
  ports: StorePorts,
): Promise<void> {
  const { datastore } = ports;
  for (let attempt = 1; ; attempt++) {
    const stored = await firstOf(target.keys, ports);
    const shown = target.view.show(stored) ?? stored;
    const changed = readEdited(edit(structuredClone(shown)), stored, shown === stored);
    await checkUpdate(changed, stored, datastore);
    try {
      await datastore.update<Kind>(withVersion(changed, stored));
      return;
    } catch (error) {
      if (attempt >= maxAttempts || !isDatastoreError(error, "conflict")) throw error;
    }
  }
}

/** The first of these keys that exists. @throws {DatastoreError} not-found, of the first key. */
export async function firstOf(
  keys: readonly ResourceKey[],
  { datastore }: Pick<StorePorts, "datastore">,
): Promise<AnyResource> {
  let missing: unknown;
  for (const key of keys) {
    try {
      return await datastore.get<Kind>(key);
    } catch (error) {
      if (!isDatastoreError(error, "not-found")) throw error;
      missing ??= error;
    }
  }
  throw missing;
}

/**
 * The edited object, checked as if newly written; but for what the stored one had already, which a
 * newer version may have put there (facts D69).
 */
function readEdited(edited: unknown, stored: AnyResource, isStoredForm: boolean): AnyResource {
  const resource = isStoredForm ? checkEdited(edited, stored) : onlyResource(edited);
  const [before, after] = [keyOf(stored), keyOf(resource)];
  if (before.name !== after.name || before.namespace !== after.namespace) {
    throw new InputError("Cannot change the name or namespace of an object");
  }
  return resource;
}

function onlyResource(edited: unknown): AnyResource {
  const [item] = readManifest(edited);
  if (item?.problem !== undefined) throw item.problem;
  const [resource] = item?.resources ?? [];
  if (resource === undefined) throw new InputError("Cannot accept the change: nothing is left");
  return resource;
}

function checkEdited(edited: unknown, stored: AnyResource): AnyResource {
  const old = new Set(
    checkResource(stored).problems.map(({ path, message }) => `${path}: ${message}`),
  );
  const { problems, title } = checkResource(edited);
  const fresh = problems.filter(({ path, message }) => !old.has(`${path}: ${message}`));
  const { resource } = checkResource(edited, { stored: true });
  if (fresh.length > 0 || resource === undefined) throw problemsError(title, fresh);
  if (resource.kind !== stored.kind) throw new InputError("Cannot change the kind of an object");
  return resource;
}

/** What the edit cannot change, unless it names a version, which must then be the present one. */
function withVersion(changed: AnyResource, stored: AnyResource): AnyResource {
  const { uid, creationTimestamp, resourceVersion } = stored.metadata;
  return {
    ...changed,
    metadata: {
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...changed.metadata,
      ...(uid === undefined ? {} : { uid }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    ...(stored.status === undefined || changed.status !== undefined
      ? {}
      : { status: stored.status }),
  } as AnyResource;
}
