import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "../../lib/errors.ts";
import { defaultTemplate, type TemplateValues } from "./conflist.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What `install-cni` goes by: the variables of the container of that name (facts 6.7). */
export interface InstallConfig {
  /** Where runtimes look for configurations, and for plugins, as we see these folders. */
  readonly netFolder: string;
  readonly binFolder: string;
  readonly confName: string;
  /** A file of earlier releases that is to go. */
  readonly oldConfName?: string;
  readonly template: string;
  readonly templateValues: TemplateValues;
  readonly updateBinaries: boolean;
  /** Names of programs that are not to be written. */
  readonly skip: ReadonlySet<string>;
}

export interface InstallOptions {
  readonly netFolder?: string;
  readonly binFolder?: string;
}

/** @throws {InputError} that names the variable. */
export function installConfig(
  env: Environment,
  nodeName: string,
  options: InstallOptions = {},
): InstallConfig {
  const netDir = env["CNI_NET_DIR"] || "/etc/cni/net.d";
  const confName = fileName(env, "CNI_CONF_NAME") ?? "10-calico.conflist";
  const oldConfName = fileName(env, "CNI_OLD_CONF_NAME");
  return {
    netFolder: options.netFolder ?? hostFolder("/host/etc/cni/net.d", netDir),
    binFolder: options.binFolder ?? hostFolder("/host/opt/cni/bin", "/opt/cni/bin"),
    confName,
    ...(oldConfName === undefined || oldConfName === confName ? {} : { oldConfName }),
    template: templateOf(env),
    templateValues: templateValuesOf(env, nodeName, netDir),
    updateBinaries: env["UPDATE_CNI_BINARIES"] !== "false",
    skip: new Set((env["SKIP_CNI_BINARIES"] ?? "").split(",").filter(Boolean)),
  };
}

/** In a container the host's folder is mounted; else we are on the host. */
function hostFolder(mounted: string, own: string): string {
  return existsSync(mounted) ? mounted : own;
}

function fileName(env: Environment, variable: string): string | undefined {
  const name = env[variable];
  if (!name) return undefined;
  if (/^[\w-][\w.-]*$/.test(name)) return name;
  throw new InputError(`Cannot accept ${variable} "${name}": it must be a file's name`);
}

function templateOf(env: Environment): string {
  const file = env["CNI_NETWORK_CONFIG_FILE"];
  const inKubernetes =
    Boolean(env["KUBERNETES_SERVICE_HOST"]) || env["DATASTORE_TYPE"] === "kubernetes";
  if (!file) return env["CNI_NETWORK_CONFIG"] || defaultTemplate(inKubernetes);
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new InputError(`Cannot read CNI_NETWORK_CONFIG_FILE "${file}"`, { cause });
  }
}

function templateValuesOf(env: Environment, nodeName: string, netDir: string): TemplateValues {
  const of = (variable: string, fallback: string) => env[variable] || fallback;
  const host = of("KUBERNETES_SERVICE_HOST", "");
  return {
    KUBERNETES_NODE_NAME: of("KUBERNETES_NODE_NAME", nodeName),
    CNI_MTU: of("CNI_MTU", "0"),
    // Nothing is written there: the agent has the credentials.
    KUBECONFIG_FILEPATH: join(netDir, "calico-kubeconfig"),
    SERVICEACCOUNT_TOKEN: "",
    LOG_LEVEL: of("LOG_LEVEL", "info"),
    LOG_FILE_PATH: of("LOG_FILE_PATH", "/var/log/calico/cni/cni.log"),
    DATASTORE_TYPE: of("CNI_DATASTORE_TYPE", of("DATASTORE_TYPE", "kubernetes")),
    KUBERNETES_SERVICE_HOST: host.includes(":") ? `[${host}]` : host,
    KUBERNETES_SERVICE_PORT: of("KUBERNETES_SERVICE_PORT", ""),
    ETCD_ENDPOINTS: of("ETCD_ENDPOINTS", ""),
    ETCD_DISCOVERY_SRV: of("ETCD_DISCOVERY_SRV", ""),
    ETCD_KEY_FILE: "",
    ETCD_CERT_FILE: "",
    ETCD_CA_CERT_FILE: "",
    REQUIRE_MTU_FILE: of("REQUIRE_MTU_FILE", "false"),
    CALICO_API_GROUP: of("CALICO_API_GROUP", ""),
  };
}
