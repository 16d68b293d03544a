import { isDeepStrictEqual } from "node:util";
import {
  namespaceProfilePrefix,
  serviceAccountProfilePrefix,
} from "../../api/kubernetes/namespace.ts";
import { kubernetesPolicyPrefix } from "../../api/policy-identity.ts";
import type { ResourceKey } from "../../api/resource-key.ts";
import type { ResourceOfKind } from "../../api/resource-of-kind.ts";
import { InputError } from "../../lib/errors.ts";

/**
 * Which objects of Kubernetes are copied into a datastore that is not Kubernetes, and what of them (facts 2.6, 7.7).
 * The form is the one in which the Kubernetes datastore shows them. Pure.
 */

export type CopiedKind = "NetworkPolicy" | "Profile" | "WorkloadEndpoint";
export type Copied = ResourceOfKind[CopiedKind];

/** As kube-controllers names them in ENABLED_CONTROLLERS. */
export const copyControllers = [
  "namespace",
  "policy",
  "serviceaccount",
  "workloadendpoint",
] as const;
export type CopyController = (typeof copyControllers)[number];

export interface CopyRule {
  readonly kind: CopiedKind;
  /** True for what nobody but this controller writes: names of others are left alone. */
  owns(key: ResourceKey): boolean;
  /** What the copy must be; undefined: there is to be none. */
  copyOf(source: Copied, present: Copied | undefined): Copied | undefined;
  /** Copies of what is gone go too. */
  readonly removes: boolean;
}

export const copyRules: Readonly<Record<CopyController, CopyRule>> = {
  namespace: wholeCopies("Profile", namespaceProfilePrefix),
  serviceaccount: wholeCopies("Profile", serviceAccountProfilePrefix),
  policy: wholeCopies("NetworkPolicy", kubernetesPolicyPrefix),
  // The CNI plugin makes an endpoint and takes it away: here it gets what only Kubernetes knows of its pod.
  workloadendpoint: {
    kind: "WorkloadEndpoint",
    owns: () => true,
    copyOf: (source, present) => {
      if (source.kind !== "WorkloadEndpoint" || present?.kind !== "WorkloadEndpoint")
        return undefined;
      const { serviceAccountName, profiles, ports } = source.spec;
      return {
        ...present,
        metadata: { ...present.metadata, labels: source.metadata.labels ?? {} },
        spec: { ...present.spec, ...given({ serviceAccountName, profiles, ports }) },
      };
    },
    removes: false,
  },
};

function wholeCopies(kind: CopiedKind, prefix: string): CopyRule {
  return {
    kind,
    owns: (key) => key.kind === kind && key.name.startsWith(prefix),
    copyOf: (source, present) => {
      const { name, namespace, labels, annotations } = source.metadata;
      const { resourceVersion, uid, creationTimestamp } = present?.metadata ?? {};
      const own = { namespace, labels, annotations, resourceVersion, uid, creationTimestamp };
      return { ...source, metadata: { name, ...given(own) } } as Copied;
    },
    removes: true,
  };
}

export type CopyStep =
  | { readonly verb: "create" | "update"; readonly resource: Copied }
  | { readonly verb: "delete"; readonly resource: Copied };

/** What is to be done so that one copy is right; undefined: it is. */
export function copyStep(
  rule: CopyRule,
  source: Copied | undefined,
  present: Copied | undefined,
): CopyStep | undefined {
  if (source === undefined) {
    return present !== undefined && rule.removes
      ? { verb: "delete", resource: present }
      : undefined;
  }
  const resource = rule.copyOf(source, present);
  if (resource === undefined || isSame(resource, present)) return undefined;
  return { verb: present === undefined ? "create" : "update", resource };
}

/**
 * Which of them ENABLED_CONTROLLERS asks for; all, where it is not set. Names of controllers that do other things are
 * passed over: those run anyway.
 *
 * @throws {InputError} for a name that no controller has.
 */
export function enabledCopies(text: string | undefined): readonly CopyController[] {
  if (text === undefined || text.trim() === "") return copyControllers;
  const names = text.split(",").map((name) => name.trim().toLowerCase());
  const unknown = names.find((name) => !isCopy(name) && !otherControllers.has(name));
  if (unknown === undefined) return copyControllers.filter((name) => names.includes(name));
  throw new InputError(
    `Cannot accept ENABLED_CONTROLLERS "${unknown}": it must be of ${[...copyControllers, ...otherControllers].join(", ")}`,
  );
}

const otherControllers: ReadonlySet<string> = new Set(["node", "loadbalancer"]);

function isCopy(name: string): name is CopyController {
  return (copyControllers as readonly string[]).includes(name);
}

/** As they would be stored: what is undefined is not there. */
function isSame(a: Copied, b: Copied | undefined): boolean {
  return b !== undefined && isDeepStrictEqual(stored(a), stored(b));
}

function stored(resource: Copied): unknown {
  return JSON.parse(JSON.stringify(resource));
}

function given<Fields extends object>(
  fields: Fields,
): { [K in keyof Fields]?: NonNullable<Fields[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof Fields]?: NonNullable<Fields[K]>;
  };
}
