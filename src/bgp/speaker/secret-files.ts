import { join } from "node:path";
import type { SecretKeyRef } from "../../api/resources/bgp.ts";
import { dnsSubdomain } from "../../api/schemas/fields.ts";
import { errorMessage } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import { readSecretFile } from "../../lib/secret-file.ts";
import { type SecretReading, type Secrets, secretName } from "../config/secrets.ts";

/** Longest key of Linux (TCP_MD5SIG_MAXKEYLEN). */
const maxPasswordBytes = 80;

/** Key of a Secret, as Kubernetes has it. */
const secretKey = /^(?!\.{1,2}$)[-._a-zA-Z0-9]{1,253}$/;

/** Where secrets are without Kubernetes: FOLDER/NAME/KEY. */
export const defaultSecretsFolder = "/etc/tortie/secrets";

/** Reads what the references mean. A file that others than its owner may read is refused. */
export function readSecrets(refs: readonly SecretKeyRef[], folder: string): Secrets {
  return new Map(refs.map((ref) => [secretName(ref), readSecret(ref, folder)]));
}

function readSecret({ name, key }: SecretKeyRef, folder: string): SecretReading {
  // A name of the datastore never leaves the folder.
  if (!dnsSubdomain.test(name)) return { problem: "the name is no name of a Secret" };
  if (!secretKey.test(key)) return { problem: "the key is no key of a Secret" };
  const path = join(folder, name, key);
  try {
    return { secret: new Secret(readSecretFile(path, maxPasswordBytes)) };
  } catch (error) {
    return { problem: errorMessage(error) };
  }
}
