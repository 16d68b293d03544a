import { InputError } from "../lib/errors.ts";
import { type KindInfo, kindNamed } from "./kinds.ts";
import { globalPolicyOf } from "./kubernetes/cluster-network-policy.ts";
import { profilesOfNamespace } from "./kubernetes/namespace.ts";
import { kubernetesNetworkingApiVersion, networkPolicyOf } from "./kubernetes/network-policy.ts";
import { kubernetesSpecAnnotation } from "./kubernetes/written-form.ts";
import { calicoApiVersion } from "./meta.ts";
import type { AnyResource } from "./resource-of-kind.ts";
import type { ClusterNetworkPolicy } from "./resources/cluster-network-policy.ts";
import type { KubernetesNamespace, KubernetesNetworkPolicy } from "./resources/kubernetes.ts";
import { clusterNetworkPolicy } from "./schemas/cluster-policy-schema.ts";
import { dnsLabel, dnsSubdomain } from "./schemas/fields.ts";
import { kubernetesNamespace, kubernetesNetworkPolicy } from "./schemas/kubernetes-schema.ts";
import { type Check, isObject, type Report, shown } from "./schemas/schema.ts";
import { checkResource, problemsError, titleOf } from "./validate.ts";

/** An object by the kind and name that its author gave it. */
export interface WrittenAs {
  /** "IPPool", "NetworkPolicy" (ours and Kubernetes'), "ClusterNetworkPolicy", "Namespace". */
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** One object of a manifest. */
export interface ManifestItem {
  readonly as: WrittenAs;
  readonly apiVersion: string;
  /** What is stored for it: a Namespace becomes two profiles, all else one resource. */
  readonly resources: readonly AnyResource[];
  /** Why it cannot be accepted. Then it has no resources. */
  readonly problem?: InputError;
}

const maxListDepth = 8;

/**
 * The objects of one document: a v3 resource, a Kubernetes NetworkPolicy, ClusterNetworkPolicy, Namespace,
 * Service or EndpointSlice, or a list or array of such. What is no manifest at all (an unknown kind or
 * field, a field of the wrong type) is refused as a whole; an object with a value that is not acceptable
 * is an item with a `problem`, as one item does not spoil the others (facts 7.3).
 *
 * @throws {InputError}
 */
export function readManifest(
  input: unknown,
  options: { readonly namespace?: string } = {},
): ManifestItem[] {
  return manifestObjects(input).map((item) => readItem(item, options.namespace));
}

/**
 * As readManifest, when every object must be acceptable.
 *
 * @throws {InputError}
 */
export function decodeManifest(
  input: unknown,
  options: { readonly namespace?: string } = {},
): { readonly resource: AnyResource; readonly as: WrittenAs }[] {
  return readManifest(input, options).flatMap(({ as, resources, problem }) => {
    if (problem !== undefined) throw problem;
    return resources.map((resource) => ({ resource, as }));
  });
}

/**
 * The elements of a list, and of lists in it, or the one object; elements may leave their kind to the
 * list. Not checked.
 *
 * @throws {InputError}
 */
export function manifestObjects(input: unknown): unknown[] {
  return itemsOf(input, 0);
}

function itemsOf(input: unknown, depth: number): unknown[] {
  if (Array.isArray(input) && depth < maxListDepth) {
    return input.flatMap((item) => itemsOf(item, depth + 1));
  }
  if (!isObject(input)) return [input];
  const { kind, apiVersion, items } = input;
  if (typeof kind !== "string" || !kind.endsWith("List")) return [input];
  if (!Array.isArray(items) || depth === maxListDepth) {
    throw new InputError(`Cannot accept ${kind}: items: must be an array, got ${shown(items)}`);
  }
  const inherited = kind === "List" ? {} : { apiVersion, kind: kind.slice(0, -"List".length) };
  return items.flatMap((item) =>
    itemsOf(isObject(item) ? { ...inherited, ...item } : item, depth + 1),
  );
}

function readItem(input: unknown, namespace: string | undefined): ManifestItem {
  if (isObject(input) && input["apiVersion"] === kubernetesNetworkingApiVersion) {
    if (input["kind"] === "NetworkPolicy") return readKubernetesPolicy(input, namespace);
  }
  if (isObject(input) && input["kind"] === "ClusterNetworkPolicy") return readClusterPolicy(input);
  if (isObject(input) && input["apiVersion"] === "v1" && input["kind"] === "Namespace") {
    return readNamespace(input);
  }
  return readCalicoResource(input, namespace);
}

function readCalicoResource(input: unknown, namespace: string | undefined): ManifestItem {
  const info = isObject(input) ? kindNamed(String(input["kind"])) : undefined;
  const [placed, mismatch] = place(input, info, namespace);
  const { resource, problems, title } = checkResource(placed);
  const structural = problems.filter((problem) => problem.structural);
  if (structural.length > 0 || info === undefined) throw problemsError(title, structural);
  const as = writtenAs(placed, info.kind, info.namespaced);
  const { apiVersion = calicoApiVersion } = info;
  const problem = mismatch ?? (resource === undefined ? problemsError(title, problems) : undefined);
  if (problem !== undefined || resource === undefined) {
    return failed(as, apiVersion, problem ?? problemsError(title, problems));
  }
  return { as, apiVersion, resources: [withoutKubernetesSpec(resource)] };
}

function readKubernetesPolicy(input: unknown, namespace: string | undefined): ManifestItem {
  const apiVersion = kubernetesNetworkingApiVersion;
  const [placed, mismatch] = place(input, kindNamed("NetworkPolicy"), namespace);
  const as = writtenAs(placed, "NetworkPolicy", true);
  const [policy, problem] = checkKubernetes(placed, kubernetesNetworkPolicy, dnsSubdomain);
  const refused = mismatch ?? problem;
  if (refused !== undefined) return failed(as, apiVersion, refused);
  return { as, apiVersion, resources: [networkPolicyOf(policy as KubernetesNetworkPolicy)] };
}

function readClusterPolicy(input: Record<string, unknown>): ManifestItem {
  const [policy, problem] = checkKubernetes(input, clusterNetworkPolicy, dnsSubdomain);
  const as = writtenAs(input, "ClusterNetworkPolicy", false);
  const apiVersion = String(input["apiVersion"]);
  if (problem !== undefined) return failed(as, apiVersion, problem);
  return { as, apiVersion, resources: [globalPolicyOf(policy as ClusterNetworkPolicy)] };
}

function readNamespace(input: unknown): ManifestItem {
  const [checked, problem] = checkKubernetes(input, kubernetesNamespace, dnsLabel);
  const as = writtenAs(input, "Namespace", false);
  if (problem !== undefined) return failed(as, "v1", problem);
  const { metadata } = checked as KubernetesNamespace;
  return { as, apiVersion: "v1", resources: profilesOfNamespace(metadata) };
}

function checkKubernetes(
  input: unknown,
  check: Check,
  name: RegExp,
): readonly [checked: unknown, problem: InputError | undefined] {
  const report: Report = { problems: [], unknownFields: "refuse" };
  const checked = check(input, "", report);
  const structural = report.problems.filter((problem) => problem.structural);
  if (structural.length > 0) throw problemsError(titleOf(input), structural);
  const given = writtenAs(input, "", false).name;
  if (report.problems.length === 0 && !name.test(given)) {
    const message = `must be a DNS name (lower case, digits, -), got ${shown(given)}`;
    report.problems.push({ path: "metadata.name", message, structural: false });
  }
  const problem =
    report.problems.length === 0 ? undefined : problemsError(titleOf(input), report.problems);
  return [checked, problem];
}

function failed(as: WrittenAs, apiVersion: string, problem: InputError): ManifestItem {
  return { as, apiVersion, resources: [], problem };
}

/** The object in the namespace of -n, unless it names another, or its kind has none (facts 7.3). */
function place(
  input: unknown,
  info: KindInfo | undefined,
  namespace: string | undefined,
): readonly [placed: unknown, mismatch: InputError | undefined] {
  if (!isObject(input) || !isObject(input["metadata"]) || info === undefined) {
    return [input, undefined];
  }
  const given = input["metadata"]["namespace"] ?? undefined;
  if (!info.namespaced) {
    const mismatch = `Cannot accept ${titleOf(input)}: ${info.kind} is not namespaced`;
    return [input, namespace === undefined ? undefined : new InputError(mismatch)];
  }
  if (given !== undefined && namespace !== undefined && given !== namespace) {
    const mismatch = `Cannot accept ${titleOf(input)}: metadata.namespace: is ${shown(given)}, -n is "${namespace}"`;
    return [input, new InputError(mismatch)];
  }
  const metadata = { ...input["metadata"], namespace: given ?? namespace ?? "default" };
  return [{ ...input, metadata }, undefined];
}

function writtenAs(input: unknown, kind: string, namespaced: boolean): WrittenAs {
  const metadata = isObject(input) && isObject(input["metadata"]) ? input["metadata"] : {};
  const name = String(metadata["name"] ?? "");
  if (!namespaced) return { kind, name };
  return { kind, name, namespace: String(metadata["namespace"] ?? "default") };
}

/** A policy written in our form is no longer what the annotation says it was. */
function withoutKubernetesSpec(resource: AnyResource): AnyResource {
  const { annotations } = resource.metadata;
  if (annotations?.[kubernetesSpecAnnotation] === undefined) return resource;
  const { [kubernetesSpecAnnotation]: _spec, ...kept } = annotations;
  return { ...resource, metadata: { ...resource.metadata, annotations: kept } } as AnyResource;
}
