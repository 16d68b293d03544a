import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import type { KubeApiServer } from "../kube-apiserver.ts";

/** An object of a manifest. */
export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly [field: string]: unknown;
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly configMapKeyRef?: { readonly name: string; readonly key: string };
  };
}

interface PodTemplate {
  readonly metadata: object;
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
  };
}

/** The objects of a file of deploy/. */
export function readManifest(file: string): ManifestObject[] {
  const path = fileURLToPath(new URL(`../../../deploy/${file}`, import.meta.url));
  return manifestObjects(readFileSync(path, "utf8"));
}

/** What the overlay `etcd` lets the controllers do in Kubernetes. */
export function etcdControllersRules(): readonly object[] {
  const path = fileURLToPath(
    new URL("../../../deploy/overlays/etcd/controllers-rules.yaml", import.meta.url),
  );
  const [patch] = parse(readFileSync(path, "utf8")) as [{ readonly value: readonly object[] }];
  return patch.value;
}

export function manifestObjects(text: string): ManifestObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as ManifestObject | null)
    .filter((object) => object !== null);
}

/**
 * Applies objects as `kubectl apply --server-side` does, and refuses fields that the server does not know.
 * `dryRun`: the server checks them and keeps nothing.
 */
export async function applyObjects(
  server: KubeApiServer,
  objects: readonly ManifestObject[],
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<void> {
  const options = `fieldManager=test&fieldValidation=Strict${dryRun ? "&dryRun=All" : ""}`;
  for (const object of objects) {
    const path = `${objectPath(object)}?${options}`;
    await server.must("PATCH", path, object, "application/apply-patch+yaml");
  }
}

export function withoutCrds(objects: readonly ManifestObject[]): ManifestObject[] {
  return objects.filter(({ kind }) => kind !== "CustomResourceDefinition");
}

/** Path of an object of a kind that manifests have. */
export function objectPath({ apiVersion, kind, metadata }: ManifestObject): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { name, namespace } = metadata;
  const where = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `${root}${where}/${kind.toLowerCase()}s/${name}`;
}

/** The pod that a DaemonSet or Deployment makes. */
export function podTemplateOf(object: ManifestObject): PodTemplate {
  return (object["spec"] as { readonly template: PodTemplate }).template;
}

/**
 * A container's environment as kubelet makes it. `fields` are those of the pod by path, as in
 * "spec.nodeName".
 *
 * @throws {Error} for a reference to something that is not there.
 */
export function environmentOf(
  { env = [] }: Container,
  objects: readonly ManifestObject[],
  fields: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => {
      const found = value ?? referred(valueFrom ?? {}, objects, fields);
      if (found === undefined) throw new Error(`${name}: ${JSON.stringify(valueFrom)}`);
      return [name, found];
    }),
  );
}

function referred(
  { fieldRef, configMapKeyRef }: NonNullable<EnvVar["valueFrom"]>,
  objects: readonly ManifestObject[],
  fields: Readonly<Record<string, string>>,
): string | undefined {
  if (fieldRef !== undefined) return fields[fieldRef.fieldPath];
  const map = objects.find(
    ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === configMapKeyRef?.name,
  );
  const data = map?.["data"] as Readonly<Record<string, string>> | undefined;
  return data?.[configMapKeyRef?.key ?? ""];
}
