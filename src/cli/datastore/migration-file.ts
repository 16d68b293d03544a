import { manifestObjects } from "../../api/manifest.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";
import type { ClusterInformation } from "../../api/resources/cluster-information.ts";
import { checkResource, problemsError } from "../../api/validate.ts";
import { pathOfResource } from "../../datastore/etcd/keys.ts";
import { resourceOf, textOfResource } from "../../datastore/etcd/values.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import { groupBy } from "../../lib/collections.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import { partOf, sharedKinds } from "./migrated-kinds.ts";

/**
 * The file of `datastore migrate`, in three parts as calicoctl writes it, each ended by a line "===":
 * lists of v3 resources as documents of YAML (ours are JSON, which is YAML, so that no number loses a
 * digit), ClusterInformation, and IPAM's objects as etcd has them. What calicoctl does not migrate is
 * in the third part under `resources`, where it does not look.
 */
export interface Migration {
  readonly cluster: ClusterInformation;
  /** Without UID, version and times, which each datastore gives anew. */
  readonly resources: readonly AnyResource[];
}

/** IPAM's kinds by their field in the third part. */
const ipamFields = {
  block_affinities: "BlockAffinity",
  blocks: "IPAMBlock",
  handles: "IPAMHandle",
  config: "IPAMConfiguration",
} as const;

type IpamField = keyof typeof ipamFields;

/** One of IPAM's objects: its path in etcd, and the value there. */
interface KeyValue {
  readonly Key: string;
  readonly Value: unknown;
  readonly TTL: 0;
}

const separator = "===\n";

export function migrationText({ cluster, resources }: Migration): string {
  const byPart = groupBy(resources, partOf);
  const shared = groupBy(byPart.get("shared") ?? [], ({ kind }) => kind);
  const lists = sharedKinds.flatMap((kind) => {
    const items = shared.get(kind);
    if (items === undefined) return [];
    return [`${jsonOf({ apiVersion: calicoApiVersion, kind: `${kind}List`, items })}---\n`];
  });
  const ipam = groupBy(byPart.get("ipam") ?? [], ({ kind }) => kind);
  const third = Object.entries(ipamFields).flatMap(([field, kind]) => {
    const values = (ipam.get(kind) ?? []).map(keyValueOf);
    if (values.length === 0) return [];
    return [[field, field === "config" ? values[0] : values] as const];
  });
  const own = byPart.get("own") ?? [];
  const last = { ...Object.fromEntries(third), ...(own.length === 0 ? {} : { resources: own }) };
  return [lists.join(""), jsonOf(cluster), jsonOf(last)].join(separator);
}

function jsonOf(value: unknown): string {
  return `${stringifyBigJson(value, 1)}\n`;
}

function keyValueOf(resource: AnyResource): KeyValue {
  const text = textOfResource<Kind>(resource);
  return { Key: pathOfResource<Kind>(resource), Value: parseBigJson(text), TTL: 0 };
}

/**
 * Reads and checks the whole file, ours or calicoctl's.
 *
 * @throws {InputError} that names the file, and the objects that cannot be accepted.
 */
export async function parseMigration(text: string, source: string): Promise<Migration> {
  const sections = text.split(/^===\n/m);
  const [shared = "", cluster = "", ipam = ""] = sections;
  if (sections.length !== 3) {
    throw unreadable(source, `it has ${sections.length} parts, not 3: is it of \`export\`?`);
  }
  const objects = [
    ...(await documentsOf(shared, source)).flatMap((document) => manifestObjects(document)),
    ...thirdPart(ipam, source),
  ];
  const info = jsonObject(cluster, { source, part: "second" });
  checkAll([info, ...objects], source);
  const clusterInformation = info as unknown as AnyResource;
  if (clusterInformation.kind !== "ClusterInformation") {
    throw unreadable(source, "its second part is no ClusterInformation");
  }
  return {
    cluster: withoutIdentity(clusterInformation),
    resources: (objects as AnyResource[]).map((resource) => withoutIdentity(resource)),
  };
}

async function documentsOf(text: string, source: string): Promise<unknown[]> {
  const documents: unknown[] = [];
  for (const document of text.split(/^---\s*\n/m)) {
    if (document.trim() === "") continue;
    try {
      documents.push(
        document.startsWith("{")
          ? parseBigJson(document)
          : (await import("yaml")).parse(document, { strict: true }),
      );
    } catch (error) {
      throw unreadable(source, `its first part: ${errorMessage(error)}`);
    }
  }
  return documents.filter((document) => document !== null);
}

/** Objects of IPAM, and those that only we migrate. */
function thirdPart(text: string, source: string): unknown[] {
  const third = jsonObject(text, { source, part: "third" });
  const ipam = (Object.keys(ipamFields) as IpamField[]).flatMap((field) => {
    const value = third[field] ?? [];
    return (Array.isArray(value) ? value : [value]).map((item: Partial<KeyValue> | null) =>
      ipamObject(field, item, source),
    );
  });
  const own = third["resources"] ?? [];
  if (!Array.isArray(own)) throw unreadable(source, "its third part: resources is no array");
  return [...ipam, ...own];
}

function ipamObject(field: IpamField, item: Partial<KeyValue> | null, source: string): AnyResource {
  const { Key: path, Value: value } = item ?? {};
  const resource =
    typeof path === "string" && typeof value === "object" && value !== null
      ? resourceOf(path, stringifyBigJson(value), "0")
      : undefined;
  if (resource?.kind === ipamFields[field]) return resource;
  throw unreadable(
    source,
    `its third part: ${field} has no such object as ${JSON.stringify(path)}`,
  );
}

function jsonObject(
  text: string,
  { source, part }: { readonly source: string; readonly part: string },
): Record<string, unknown> {
  try {
    const value = parseBigJson(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (error) {
    throw unreadable(source, `its ${part} part is no JSON: ${errorMessage(error)}`);
  }
  throw unreadable(source, `its ${part} part is no JSON object`);
}

/** Objects that one message lists. */
const maxListed = 5;

/** @throws {InputError} for objects that nobody could use, and for one that is there twice. */
export function checkAll(objects: readonly unknown[], source: string): void {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const object of objects) {
    const { problems, title } = checkResource(object, { stored: true });
    if (problems.length > 0) found.push(errorMessage(problemsError(title, problems)));
    else if (seen.has(keyText(keyOf(object as AnyResource)))) found.push(`${title} is there twice`);
    else seen.add(keyText(keyOf(object as AnyResource)));
  }
  if (found.length === 0) return;
  throw unreadable(source, listText(found));
}

/** "a; b; and 3 more" */
export function listText(items: readonly string[]): string {
  const more = items.length - maxListed;
  return [...items.slice(0, maxListed), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

/** The object without what each datastore gives anew. */
export function withoutIdentity<R extends AnyResource>(resource: R): R {
  const kept = Object.entries(resource.metadata).filter(([field]) => !identityFields.has(field));
  return { ...resource, metadata: Object.fromEntries(kept) };
}

const identityFields: ReadonlySet<string> = new Set([
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "managedFields",
  "selfLink",
]);

function unreadable(source: string, why: string): InputError {
  return new InputError(`Cannot read ${source}: ${why}`);
}
