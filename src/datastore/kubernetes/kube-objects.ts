import { keyOf, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { isDatastoreError, unlessAbsent } from "../datastore.ts";
import { objectRefused } from "../stored-metadata.ts";
import { collectionPath, objectPath } from "./collections.ts";
import { isDeleted } from "./custom-spec.ts";
import type { Asked } from "./kube-error.ts";
import type { KubeHttp } from "./kube-http.ts";
import type { KubeObject } from "./kube-object.ts";
import type { Mapping, Writes } from "./mapping.ts";

type ObjectWrites = Extract<Writes, { readonly kind: "objects" }>;

/** Tries of a delete of whatever version there is, each against somebody else's write. */
const maxDeleteTries = 10;

/** Requests for single objects. */
export class KubeObjects {
  readonly #http: KubeHttp;

  constructor(http: KubeHttp) {
    this.#http = http;
  }

  /** Undefined when it is not there. */
  async read(mapping: Mapping, path: string, key: ResourceKey): Promise<KubeObject | undefined> {
    const asked: Asked = { verb: "get", collection: mapping.collection, key };
    return (await unlessAbsent(this.#http.call({ method: "GET", path, asked }))) as
      | KubeObject
      | undefined;
  }

  /** An object of the name that is only marked as deleted makes way. */
  async create(mapping: Mapping, writes: ObjectWrites, resource: AnyResource): Promise<KubeObject> {
    const { collection } = mapping;
    const key = keyOf(resource);
    const body = writes.encode(resource);
    const { namespace } = body.metadata;
    const path = collectionPath(collection, namespace);
    const asked: Asked = { verb: "create", collection, key };
    const post = () => this.#http.call({ method: "POST", path, body, asked });
    let created: KubeObject;
    try {
      created = (await post()) as KubeObject;
    } catch (error) {
      if (!writes.softDeleted || !isDatastoreError(error, "already-exists")) throw error;
      const present = objectPath(collection, body.metadata);
      const object = await this.read(mapping, present, key);
      if (object !== undefined && !isMarked(object)) throw error;
      if (object !== undefined) await this.finishDelete(mapping, present, key, object);
      created = (await post()) as KubeObject;
    }
    return await this.#withStatus(mapping, writes, created, body, key);
  }

  async replace(
    mapping: Mapping,
    writes: ObjectWrites,
    path: string,
    resource: AnyResource,
  ): Promise<KubeObject> {
    const encoded = writes.encode(resource);
    const name = decodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
    const body = { ...encoded, metadata: { ...encoded.metadata, name } };
    const key = keyOf(resource);
    const asked: Asked = { verb: "update", collection: mapping.collection, key };
    const updated = (await this.#http.call({ method: "PUT", path, body, asked })) as KubeObject;
    return await this.#withStatus(mapping, writes, updated, body, key);
  }

  /** At exactly `version` if given. */
  async delete(
    mapping: Mapping,
    path: string,
    key: ResourceKey,
    version: string | undefined,
    uid?: string,
  ): Promise<void> {
    const preconditions = {
      ...(version === undefined ? {} : { resourceVersion: version }),
      ...(uid === undefined ? {} : { uid }),
    };
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions };
    const asked: Asked = { verb: "delete", collection: mapping.collection, key };
    await this.#http.call({ method: "DELETE", path, body, asked });
  }

  /** Marks the object, which is the point of no return, then deletes exactly what was marked. */
  async deleteSoftly(
    mapping: Mapping,
    path: string,
    key: ResourceKey,
    version: string | undefined,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const object = await this.read(mapping, path, key);
      if (object === undefined) throw objectRefused("not-found", key);
      if (isMarked(object)) {
        await this.finishDelete(mapping, path, key, object);
        throw objectRefused("not-found", key);
      }
      if (version !== undefined && object.metadata.resourceVersion !== version) {
        throw objectRefused("conflict", key);
      }
      try {
        const marked = await this.#mark(mapping, path, key, object);
        await this.finishDelete(mapping, path, key, marked);
        return;
      } catch (error) {
        const mayRepeat = version === undefined && attempt < maxDeleteTries;
        if (!mayRepeat || !isDatastoreError(error, "conflict")) throw error;
      }
    }
  }

  /** Takes away an object that is marked as deleted; another may have done so, or may. */
  async finishDelete(
    mapping: Mapping,
    path: string,
    key: ResourceKey,
    object: KubeObject,
  ): Promise<void> {
    if (!isMarked(object)) return;
    const { resourceVersion, uid } = object.metadata;
    try {
      await this.delete(mapping, path, key, resourceVersion, uid);
    } catch (error) {
      if (!isDatastoreError(error, "not-found") && !isDatastoreError(error, "conflict"))
        throw error;
    }
  }

  /** Sets annotations and parts of the status, at exactly `resourceVersion` if given. */
  async annotate(
    mapping: Mapping,
    path: string,
    key: ResourceKey,
    change: {
      readonly annotations: Readonly<Record<string, string | null>>;
      readonly resourceVersion?: string;
      readonly status?: Readonly<Record<string, unknown>>;
    },
  ): Promise<KubeObject> {
    const { writes, collection } = mapping;
    const contentType = writes.kind === "annotations" ? writes.patchType : "";
    const asked: Asked = { verb: "patch", collection, key, subresource: "status" };
    const { status, ...metadata } = change;
    const body = status === undefined ? { metadata } : { metadata, status };
    const request = { path: `${path}/status`, body, contentType, asked };
    return (await this.#http.call({ method: "PATCH", ...request })) as KubeObject;
  }

  async #mark(
    mapping: Mapping,
    path: string,
    key: ResourceKey,
    object: KubeObject,
  ): Promise<KubeObject> {
    const spec = object["spec"] as Record<string, unknown>;
    // The field is a text in BlockAffinity of crd.projectcalico.org/v1.
    const deleted = typeof spec["deleted"] === "string" ? "true" : true;
    const body = { ...object, spec: { ...spec, deleted } };
    const asked: Asked = { verb: "update", collection: mapping.collection, key };
    return (await this.#http.call({ method: "PUT", path, body, asked })) as KubeObject;
  }

  /** A write of an object leaves out its status, where that is apart. */
  async #withStatus(
    mapping: Mapping,
    writes: ObjectWrites,
    written: KubeObject,
    wanted: KubeObject,
    key: ResourceKey,
  ): Promise<KubeObject> {
    if (!writes.hasStatus || wanted["status"] === undefined) return written;
    const path = `${objectPath(mapping.collection, written.metadata)}/status`;
    const asked: Asked = {
      verb: "update",
      collection: mapping.collection,
      key,
      subresource: "status",
    };
    const body = { ...written, status: wanted["status"] };
    return (await this.#http.call({ method: "PUT", path, body, asked })) as KubeObject;
  }
}

function isMarked(object: KubeObject): boolean {
  return isDeleted((object["spec"] ?? {}) as Record<string, unknown>);
}
