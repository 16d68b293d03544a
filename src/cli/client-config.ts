import { readFile } from "node:fs/promises";
import { errorMessage, InputError } from "../lib/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where calicoctl looks when nobody says where. */
const defaultPath = "/etc/calico/calicoctl.cfg";

/** Fields of CalicoAPIConfig.spec, and the variables that mean the same (facts 2.7). */
const variables: Readonly<Record<string, string>> = {
  datastoreType: "DATASTORE_TYPE",
  etcdEndpoints: "ETCD_ENDPOINTS",
  etcdUsername: "ETCD_USERNAME",
  etcdPassword: "ETCD_PASSWORD",
  etcdKeyFile: "ETCD_KEY_FILE",
  etcdCertFile: "ETCD_CERT_FILE",
  etcdCACertFile: "ETCD_CA_CERT_FILE",
  kubeconfig: "KUBECONFIG",
  k8sCurrentContext: "K8S_CURRENT_CONTEXT",
  k8sAPIEndpoint: "K8S_API_ENDPOINT",
  k8sKeyFile: "K8S_KEY_FILE",
  k8sCertFile: "K8S_CERT_FILE",
  k8sCAFile: "K8S_CA_FILE",
  k8sInsecureSkipTLSVerify: "K8S_INSECURE_SKIP_TLS_VERIFY",
};

/** Who passed these over would speak to another cluster, or as somebody else. */
const notSupported = [
  "kubeconfigInline",
  "k8sAPIToken",
  "etcdKey",
  "etcdCert",
  "etcdCACert",
  "etcdDiscoverySrv",
];

/** Any of these says which datastore is meant. */
const decisive = ["DATASTORE_TYPE", "ETCD_ENDPOINTS", "TORTIE_DATASTORE_PATH"];

/**
 * The environment, with what the file of -c says over it. Without -c, calicoctl's own file is read
 * where it exists and the environment names no datastore.
 *
 * Differs from facts 7.3, where that file wins over the environment: who sets DATASTORE_TYPE for one
 * command must not find himself writing to the production cluster.
 *
 * @throws {InputError} when the file of -c cannot be read or is no CalicoAPIConfig.
 */
export async function clientEnvironment(
  path: string | undefined,
  env: Environment,
): Promise<Environment> {
  const isDecided = decisive.some((name) => env[name] || env[`CALICO_${name}`]);
  if (path === undefined && isDecided) return env;
  const text = await readConfig(path);
  if (text === undefined) return env;
  const { parse } = await import("yaml");
  let config: { kind?: unknown; spec?: unknown } | null;
  try {
    config = parse(text);
  } catch (error) {
    throw unreadable(path, errorMessage(error));
  }
  if (config?.kind !== "CalicoAPIConfig") {
    throw unreadable(path, "kind must be CalicoAPIConfig");
  }
  const refused = notSupported.find((field) => Object.hasOwn(config.spec ?? {}, field));
  if (refused !== undefined) {
    throw unreadable(path, `spec.${refused} is not supported`);
  }
  const given = Object.entries((config.spec ?? {}) as Record<string, unknown>).flatMap(
    ([field, value]) => {
      const name = Object.hasOwn(variables, field) ? variables[field] : undefined;
      return name === undefined || value === null ? [] : [[name, String(value)] as const];
    },
  );
  return { ...env, ...Object.fromEntries(given) };
}

async function readConfig(path: string | undefined): Promise<string | undefined> {
  try {
    return await readFile(path ?? defaultPath, "utf8");
  } catch (error) {
    if (path === undefined) return undefined;
    throw unreadable(path, errorMessage(error));
  }
}

function unreadable(path: string | undefined, why: string): InputError {
  return new InputError(`Cannot read the configuration ${path ?? defaultPath}: ${why}`);
}
