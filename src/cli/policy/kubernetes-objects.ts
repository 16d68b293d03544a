import { profileOfServiceAccount } from "../../api/kubernetes/namespace.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { dnsSubdomain, metadata } from "../../api/schemas/fields.ts";
import { isObject, type Report } from "../../api/schemas/schema.ts";
import { problemsError, titleOf } from "../../api/validate.ts";
import { endpointOfPod } from "../../datastore/kubernetes/pod-endpoint.ts";
import { InputError } from "../../lib/errors.ts";

/**
 * What a user's manifests hold besides what a datastore of ours takes: Pods and ServiceAccounts, which
 * Kubernetes keeps itself, and much that has nothing to do with policy.
 */

/** Resources of a Pod or a ServiceAccount; "other" for what policy has nothing to do with; else undefined. */
export function kubernetesObject(
  value: unknown,
  namespace = "default",
): readonly AnyResource[] | "other" | undefined {
  if (!isObject(value)) return undefined;
  const { apiVersion, kind } = value;
  if (isPod(value)) return podEndpoint(value as Record<string, unknown>, namespace);
  if (apiVersion === "v1" && kind === "ServiceAccount") {
    return [profileOfServiceAccount(placeOf(value, namespace))];
  }
  return hasSay(String(apiVersion), String(kind)) ? undefined : "other";
}

export function isPod(value: unknown): boolean {
  return isObject(value) && value["apiVersion"] === "v1" && value["kind"] === "Pod";
}

/** API groups of which an unknown kind is an error. */
const policyGroups = ["projectcalico.org", "crd.projectcalico.org", "policy.networking.k8s.io"];

/** Kinds that have a say, of groups in which others have none. */
const kindsWithSay: Readonly<Record<string, readonly string[]>> = {
  v1: ["Namespace", "Service", "List"],
  "networking.k8s.io/v1": ["NetworkPolicy"],
};

/** What is not of Kubernetes' form is not for us to pass over. */
function hasSay(apiVersion: string, kind: string): boolean {
  const [group = ""] = apiVersion.split("/");
  const kinds = kindsWithSay[apiVersion];
  if (kinds !== undefined) return kinds.includes(kind);
  if (group === "discovery.k8s.io" || policyGroups.includes(group)) return true;
  return !/^[a-z0-9.-]+\/v\d/.test(apiVersion);
}

/** Node of a Pod that no scheduler has seen. */
const noNode = "unscheduled";

/** Without an address, when the manifest tells none. A pod of the host's network has no endpoint. */
function podEndpoint(pod: Record<string, unknown>, namespace: string): readonly AnyResource[] {
  const spec = isObject(pod["spec"]) ? pod["spec"] : {};
  const given = isObject(pod["metadata"]) ? pod["metadata"] : {};
  const endpoint = endpointOfPod(
    {
      ...pod,
      metadata: { ...given, ...placeOf(pod, namespace) },
      spec: { serviceAccountName: "default", nodeName: noNode, ...spec },
    },
    "cali",
  );
  return endpoint === undefined ? [] : [endpoint];
}

/** @throws {InputError} when its metadata is not acceptable. */
function placeOf(value: Record<string, unknown>, namespace: string) {
  const report: Report = { problems: [], unknownFields: "keep" };
  const checked = metadata(value["metadata"], "metadata", report);
  if (report.problems.length > 0) throw problemsError(titleOf(value), report.problems);
  const {
    name,
    namespace: own,
    labels,
  } = checked as {
    name: string;
    namespace?: string;
    labels?: Readonly<Record<string, string>>;
  };
  if (!dnsSubdomain.test(name)) {
    throw new InputError(`Cannot accept ${titleOf(value)}: metadata.name: must be a DNS name`);
  }
  return { name, namespace: own ?? namespace, ...(labels === undefined ? {} : { labels }) };
}
