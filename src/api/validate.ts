import { getOrCreate } from "../lib/collections.ts";
import { InputError } from "../lib/errors.ts";
import { bgpAnnotationsOf } from "./bgp-annotations.ts";
import { fixedTiers, withDefaults } from "./defaults.ts";
import { electionSettings } from "./elected-reflectors.ts";
import { type KindInfo, kindNamed } from "./kinds.ts";
import { calicoApiVersion } from "./meta.ts";
import { parseWepName } from "./names.ts";
import { encapsulationAnnotation, ownEncapsulationProblem } from "./pool-encapsulation.ts";
import type { AnyResource, Kind } from "./resource-of-kind.ts";
import {
  convertedPolicyName,
  dnsLabel,
  dnsSubdomain,
  metadata,
  policyName,
} from "./schemas/fields.ts";
import { endpointSliceFields } from "./schemas/kubernetes-schema.ts";
import {
  anything,
  type Check,
  type Fields,
  isObject,
  mustBe,
  object,
  type Problem,
  type Report,
  refuse,
  shown,
  text,
} from "./schemas/schema.ts";
import { namespaceLabel } from "./selector/scope.ts";
import { specChecks } from "./spec-checks.ts";

/** What an object has besides spec and status. */
const ownFields: Partial<Record<Kind, Fields>> = { EndpointSlice: endpointSliceFields };

/** Problems that one message lists; a hundred more would not help. */
const maxListed = 5;

/**
 * A v3 resource that a user wrote: strictly checked (an unknown field is an error), with defaults
 * filled in. A namespaced one without a namespace is of "default".
 *
 * @throws {InputError} that names kind, name, and for each problem the field and the value.
 */
export function decodeResource(input: unknown): AnyResource {
  const { resource, problems, title } = checkResource(input);
  if (resource === undefined) throw problemsError(title, problems);
  return resource;
}

/** What the datastore holds under a key: usable, or why not. Unknown fields are kept (facts D69). */
export type StoredResource =
  | { readonly ok: true; readonly resource: AnyResource }
  | { readonly ok: false; readonly reason: string };

/** As decodeResource, for what the datastore holds: never throws, forgives what it does not know. */
export function decodeStored(input: unknown): StoredResource {
  const { resource, problems, title } = checkResource(input, { stored: true });
  return resource === undefined
    ? { ok: false, reason: problemsError(title, problems).message }
    : { ok: true, resource };
}

/** A resource, or what is wrong with it. */
export interface Checked {
  /** Undefined when there are problems. */
  readonly resource: AnyResource | undefined;
  readonly problems: readonly Problem[];
  /** `IPPool "a"`: how messages call it. */
  readonly title: string;
}

/** The check behind decodeResource and decodeStored, for who wants to tell problems apart. */
export function checkResource(
  input: unknown,
  options: { readonly stored?: boolean } = {},
): Checked {
  const unknownFields = options.stored === true ? "keep" : "refuse";
  // Most are right, and those need no paths.
  const quick = checkWith({ problems: [], unknownFields, pathless: true }, input, options);
  return quick.resource === undefined
    ? checkWith({ problems: [], unknownFields }, input, options)
    : quick;
}

function checkWith(
  report: Report,
  input: unknown,
  options: { readonly stored?: boolean },
): Checked {
  const title = titleOf(input);
  const info = checkKind(input, report);
  if (info === undefined) return { resource: undefined, problems: report.problems, title };
  const check = getOrCreate(resourceChecks, info.kind, () => resourceCheck(info.kind));
  const given = input as Readonly<Record<string, unknown>>;
  const hasSpec = given["spec"] !== undefined && given["spec"] !== null;
  const checked = check(hasSpec ? given : { ...given, spec: {} }, "", report);
  if (report.problems.length > 0) return { resource: undefined, problems: report.problems, title };
  const placed = withNamespace(checked as AnyResource, info, report);
  if (options.stored !== true) checkMeaning(placed, report);
  const resource = report.problems.length > 0 ? undefined : withDefaults(placed);
  return { resource, problems: report.problems, title };
}

/** Made when the first object of a kind comes: a program sees few kinds, and some of them often. */
const resourceChecks = new Map<Kind, Check>();

function resourceCheck(kind: Kind): Check {
  return object(
    {
      apiVersion: text(),
      kind: text(),
      metadata,
      spec: specChecks[kind],
      status: anything,
      ...ownFields[kind],
    },
    { required: ["metadata"] },
  );
}

/** The one error of all problems of a resource. */
export function problemsError(title: string, problems: readonly Problem[]): InputError {
  const listed = problems
    .slice(0, maxListed)
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  const more = problems.length - listed.length;
  const rest = more > 0 ? [`and ${more} more`] : [];
  return new InputError(`Cannot accept ${title}: ${[...listed, ...rest].join("; ")}`);
}

/** `IPPool "a"`, as far as the input says. */
export function titleOf(input: unknown): string {
  if (!isObject(input)) return "this";
  const { kind, metadata: meta } = input;
  const name = isObject(meta) ? meta["name"] : undefined;
  const kindText = typeof kind === "string" ? kind : "resource";
  return typeof name === "string" ? `${kindText} "${name}"` : kindText;
}

function checkKind(input: unknown, report: Report): KindInfo | undefined {
  const structural = (path: string, message: string): undefined => {
    report.problems.push({ path, message, structural: true });
    return undefined;
  };
  if (!isObject(input)) return structural("", `must be an object, got ${shown(input)}`);
  const { kind, apiVersion } = input;
  if (typeof kind !== "string") return structural("kind", "is required");
  const info = kindNamed(kind);
  if (info === undefined) {
    return structural("kind", `${shown(kind)} is not known`);
  }
  const wanted = info.apiVersion ?? calicoApiVersion;
  if (apiVersion !== wanted) {
    return structural("apiVersion", `must be ${wanted}, got ${shown(apiVersion)}`);
  }
  return info;
}

function withNamespace(resource: AnyResource, info: KindInfo, report: Report): AnyResource {
  const { namespace } = resource.metadata;
  if (!info.namespaced && namespace !== undefined) {
    refuse(report, "metadata.namespace", `may not be given: ${info.kind} is not namespaced`);
  }
  if (!info.namespaced || namespace !== undefined) return resource;
  const placed = { ...resource, metadata: { ...resource.metadata, namespace: "default" } };
  return placed as AnyResource;
}

/** What concerns more than one field of the resource. */
function checkMeaning(resource: AnyResource, report: Report): void {
  const { name } = resource.metadata;
  const wanted = nameRule(resource);
  if (wanted !== undefined) mustBe(report, "metadata.name", wanted, name);
  if (resource.kind === "FelixConfiguration" && !/^(default$|node\.)/.test(name)) {
    if (resource.spec["nodeSelector"] === undefined) {
      refuse(
        report,
        "spec.nodeSelector",
        'is required unless the name is "default" or "node.NAME"',
      );
    }
  }
  if (resource.kind === "Node" && Object.keys(resource.spec.bgp ?? { any: 1 }).length === 0) {
    refuse(report, "spec.bgp", "may not be empty");
  }
  if (resource.kind === "BGPPeer") {
    text(() => bgpAnnotationsOf(resource.metadata.annotations))("", "metadata.annotations", report);
  }
  if (resource.kind === "BGPConfiguration") {
    text(() => electionSettings(resource))("", "metadata.annotations", report);
  }
  if (resource.kind === "IPPool") {
    const problem = ownEncapsulationProblem(resource);
    const path = `metadata.annotations[${encapsulationAnnotation}]`;
    if (problem !== undefined) refuse(report, path, problem);
  }
  checkNamespaceLabel(resource, report);
  if (resource.kind !== "Tier" || !Object.hasOwn(fixedTiers, name)) return;
  const fixed = fixedTiers[name];
  for (const field of ["order", "defaultAction"] as const) {
    const given = resource.spec[field];
    if (given !== undefined && given !== fixed?.[field]) {
      mustBe(report, `spec.${field}`, `${fixed?.[field]} in tier ${name}`, given);
    }
  }
}

/** Who could set it would be selected as if of another namespace (facts 2.5). */
function checkNamespaceLabel({ kind, metadata: meta }: AnyResource, report: Report): void {
  const given = meta.labels?.[namespaceLabel];
  const isSet = kind === "NetworkSet" || kind === "GlobalNetworkSet";
  const isForeign = kind === "WorkloadEndpoint" && given !== meta.namespace;
  if (given === undefined || !(isSet || isForeign)) return;
  const path = `metadata.labels["${namespaceLabel}"]`;
  refuse(report, path, `may not be given, got ${shown(given)}`);
}

/** What the name must be, when it is not that (facts 2.5, 2.8). */
function nameRule({ kind, metadata: { name } }: AnyResource): string | undefined {
  switch (kind) {
    case "ClusterInformation":
    case "IPAMConfiguration":
    case "KubeControllersConfiguration":
      return name === "default" ? undefined : '"default"';
    case "BGPConfiguration":
      return name === "default" || /^node\../.test(name) ? undefined : '"default" or "node.NAME"';
    case "Tier":
      return dnsLabel.test(name) ? undefined : "a DNS label (lower case, digits, -)";
    case "NetworkPolicy":
    case "StagedNetworkPolicy":
      if (policyName.test(name) || convertedPolicyName.test(name)) return undefined;
      return "a DNS label, or two joined by a dot";
    case "GlobalNetworkPolicy":
    case "StagedGlobalNetworkPolicy":
      return policyName.test(name) ? undefined : "a DNS label, or two joined by a dot";
    case "WorkloadEndpoint":
      if (parseWepName(name) !== undefined) return undefined;
      return 'NODE-ORCHESTRATOR-WORKLOAD-INTERFACE, with "-" inside a part doubled';
    default:
      return dnsSubdomain.test(name) ? undefined : "a DNS name (lower case, digits, - and .)";
  }
}
