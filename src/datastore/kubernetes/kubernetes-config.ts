import { InputError } from "../../lib/errors.ts";
import { type Environment, variable } from "../environment.ts";
import type { ApiGroup } from "./collections.ts";
import type { KubernetesConfig } from "./kubernetes-datastore.ts";

const apiGroups: Readonly<Record<string, ApiGroup>> = {
  "crd.projectcalico.org": "crd.projectcalico.org/v1",
  "crd.projectcalico.org/v1": "crd.projectcalico.org/v1",
  "projectcalico.org": "projectcalico.org/v3",
  "projectcalico.org/v3": "projectcalico.org/v3",
};

/**
 * What the environment says of the API server (facts 2.7).
 *
 * @throws {InputError} for a value that cannot be.
 */
export function kubernetesConfigOf(env: Environment): KubernetesConfig {
  const group = env["CALICO_API_GROUP"] || "crd.projectcalico.org/v1";
  const apiGroup = Object.hasOwn(apiGroups, group) ? apiGroups[group] : undefined;
  if (apiGroup === undefined) {
    throw new InputError(
      `Cannot accept CALICO_API_GROUP "${group}": it must be crd.projectcalico.org/v1 or projectcalico.org/v3`,
    );
  }
  const given = {
    kubeconfig: variable(env, "KUBECONFIG"),
    context: variable(env, "K8S_CURRENT_CONTEXT"),
    endpoint: endpointOf(variable(env, "K8S_API_ENDPOINT")),
    caFile: variable(env, "K8S_CA_FILE"),
    certFile: variable(env, "K8S_CERT_FILE"),
    keyFile: variable(env, "K8S_KEY_FILE"),
  };
  const [interfacePrefix] = (env["FELIX_INTERFACEPREFIX"] ?? "").split(",");
  return {
    apiGroup,
    access: {
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      ...(isTrue(variable(env, "K8S_INSECURE_SKIP_TLS_VERIFY")) ? { skipTlsVerify: true } : {}),
    },
    ...(interfacePrefix ? { interfacePrefix } : {}),
  };
}

function endpointOf(text: string | undefined): string | undefined {
  if (text === undefined || /^https?:\/\/[^/\s]/.test(text)) return text;
  throw new InputError(
    `Cannot accept K8S_API_ENDPOINT "${text}": it must be http://HOST:PORT or https://HOST:PORT`,
  );
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(true|1|yes)$/i.test(text);
}
