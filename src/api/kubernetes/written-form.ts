import { tierLabel } from "../defaults.ts";
import type { Metadata } from "../meta.ts";

/**
 * A Kubernetes policy is stored in our form, under a name with a prefix. How it was written is kept
 * beside it: the conversion loses that, and the user is shown and may edit what he wrote.
 */

/**
 * Holds the Kubernetes spec as JSON. Kubernetes objects that others converted do not have it.
 */
export const kubernetesSpecAnnotation = "tortie/kubernetes-spec";

/** Metadata of the stored form. */
export function storedMetadata(metadata: Metadata, prefix: string, spec: unknown): Metadata {
  return {
    ...metadata,
    name: prefix + metadata.name,
    annotations: { ...metadata.annotations, [kubernetesSpecAnnotation]: JSON.stringify(spec) },
  };
}

/** Metadata and spec as they were written; undefined for what was not stored by storedMetadata(). */
export function writtenForm(
  metadata: Metadata,
  prefix: string,
): { readonly metadata: Metadata; readonly spec: unknown } | undefined {
  const { name, labels = {}, annotations = {}, ...rest } = metadata;
  const spec = parsed(annotations[kubernetesSpecAnnotation]);
  if (!name.startsWith(prefix) || spec === undefined) return undefined;
  const keptLabels = without(labels, tierLabel);
  const keptAnnotations = without(annotations, kubernetesSpecAnnotation);
  const written = {
    ...rest,
    name: name.slice(prefix.length),
    ...(Object.keys(keptLabels).length > 0 ? { labels: keptLabels } : {}),
    ...(Object.keys(keptAnnotations).length > 0 ? { annotations: keptAnnotations } : {}),
  };
  return { metadata: written, spec };
}

function without(
  record: Readonly<Record<string, string>>,
  key: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

function parsed(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
