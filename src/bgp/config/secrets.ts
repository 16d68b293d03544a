import type { SecretKeyRef } from "../../api/resources/bgp.ts";
import { compareText } from "../../lib/collections.ts";
import type { Secret } from "../../lib/secret.ts";
import type { BgpResources } from "./bgp-resources.ts";

/** What was read of one key of a Secret, or why it was not. */
export type SecretReading = { readonly secret: Secret } | { readonly problem: string };

/** By `secretName`. */
export type Secrets = ReadonlyMap<string, SecretReading>;

/** "NAME/KEY". */
export function secretName({ name, key }: SecretKeyRef): string {
  return `${name}/${key}`;
}

/** Every secret that a BGPPeer or the mesh refers to, once, by name. */
export function secretRefs({ configurations, peers }: BgpResources): readonly SecretKeyRef[] {
  const refs = new Map<string, SecretKeyRef>();
  const add = (ref: SecretKeyRef | undefined) => {
    if (ref !== undefined) refs.set(secretName(ref), ref);
  };
  add(configurations.get("default")?.spec.nodeMeshPassword?.secretKeyRef);
  for (const { spec } of peers.values()) add(spec.password?.secretKeyRef);
  return [...refs.values()].sort((a, b) => compareText(secretName(a), secretName(b)));
}

/**
 * The password that a reference means.
 *
 * Differs from facts 5.10: upstream speaks without a password while it cannot be read. Here the peer
 * is kept down.
 *
 * @throws {SyntaxError} that says why it cannot be read; never what is in it.
 */
export function passwordOf(ref: SecretKeyRef, secrets: Secrets): Secret {
  const reading = secrets.get(secretName(ref)) ?? { problem: "it was not read" };
  if ("secret" in reading) return reading.secret;
  throw new SyntaxError(`password "${secretName(ref)}" cannot be used: ${reading.problem}`);
}
