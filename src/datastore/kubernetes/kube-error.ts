import { keyText, type ResourceKey } from "../../api/resource-key.ts";
import { InputError } from "../../lib/errors.ts";
import { DatastoreError } from "../datastore.ts";
import { objectRefused } from "../stored-metadata.ts";
import { type Collection, collectionText } from "./collections.ts";

/** What an API server answered to one request. */
export interface KubeAnswer {
  readonly status: number;
  readonly text: string;
}

/** What was asked, in the words of a Role. */
export interface Asked {
  readonly verb: "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";
  readonly collection: Collection;
  /** Of a request for one object. */
  readonly key?: ResourceKey;
  /** "status" */
  readonly subresource?: string;
}

/** The server has no such collection: it lacks the CRD. */
export class UnknownKindError extends DatastoreError {}

/** The error that an answer is, other than success. */
export function refusalOf(answer: KubeAnswer, asked: Asked): Error {
  const { status } = answer;
  const { key, verb } = asked;
  if (status === 410) return expired("");
  if (status === 404 && isUnknownKind(answer, asked)) {
    const why = "the API server does not know this kind: apply its CRD, ours are in deploy/crds";
    return new UnknownKindError(`Cannot ${whatOf(asked)}: ${why}`, { code: "unavailable" });
  }
  if (key !== undefined && status === 404) return objectRefused("not-found", key);
  if (key !== undefined && status === 409) {
    const exists = verb === "create" && statusOf(answer).reason === "AlreadyExists";
    return objectRefused(exists ? "already-exists" : "conflict", key);
  }
  if (status === 401 || status === 403) return forbidden(answer, asked);
  if (status === 400 || status === 413 || status === 422) {
    return new InputError(`Cannot ${whatOf(asked)}: ${messageOf(answer)}`);
  }
  return unavailable(`Cannot ${whatOf(asked)}: ${messageOf(answer)}`);
}

/** Of a namespace that is not there, the server says so in a Status. */
function isUnknownKind(answer: KubeAnswer, { key, verb }: Asked): boolean {
  return key === undefined || (verb === "create" && statusOf(answer).reason === undefined);
}

/** Of a 404: the server knows the kind, and has no such object. It says so in a Status. */
export function isKnownKind(answer: KubeAnswer): boolean {
  return statusOf(answer).reason === "NotFound";
}

export function unavailable(message: string, cause?: unknown): DatastoreError {
  return new DatastoreError(message, { code: "unavailable" }, cause === undefined ? {} : { cause });
}

/** A revision, or a page of a list, that the server does not know any more. */
export function expired(revision: string): DatastoreError {
  return new DatastoreError(`Cannot go on from revision ${revision}: it is not known any more`, {
    code: "compacted",
    revision,
  });
}

function forbidden(answer: KubeAnswer, asked: Asked): DatastoreError {
  const resource = `${collectionText(asked.collection)}${asked.subresource ? `/${asked.subresource}` : ""}`;
  const why =
    answer.status === 401
      ? "the API server does not accept our credentials"
      : `we may not "${asked.verb}" ${resource}`;
  return new DatastoreError(`Cannot ${whatOf(asked)}: ${why}: ${messageOf(answer)}`, {
    code: "forbidden",
    verb: asked.verb,
    resource,
  });
}

/** "update Node/node1" or "list ippools.crd.projectcalico.org". */
export function whatOf({ verb, collection, key }: Asked): string {
  return `${verb} ${key === undefined ? collectionText(collection) : keyText(key)}`;
}

function messageOf(answer: KubeAnswer): string {
  return statusOf(answer).message ?? `HTTP status ${answer.status}`;
}

function statusOf({ text }: KubeAnswer): { readonly reason?: string; readonly message?: string } {
  try {
    const status: unknown = JSON.parse(text);
    return typeof status === "object" && status !== null ? status : {};
  } catch {
    return {};
  }
}
