import { InputError } from "../../lib/errors.ts";

/** The file in /etc/cni/net.d that runtimes read, as text (facts 6.6, 6.7). */

type Json = Readonly<Record<string, unknown>>;

/** What upstream's manifests leave to be filled in, and its values on this node. */
export type TemplateValues = Readonly<Record<string, string>>;

/** Types of the plugins that we put there: what else is in the chain is somebody else's, and stays. */
const installedKey = "tortie.installed";

/** Without Kubernetes nobody else makes the profiles of containers. */
export function defaultTemplate(inKubernetes: boolean): string {
  return JSON.stringify({
    name: "k8s-pod-network",
    cniVersion: "1.0.0",
    plugins: [
      {
        type: "calico",
        datastore_type: "__DATASTORE_TYPE__",
        nodename: "__KUBERNETES_NODE_NAME__",
        mtu: 0,
        ipam: { type: "calico-ipam" },
        ...(inKubernetes ? { policy: { type: "k8s" } } : {}),
        capabilities: { "io.kubernetes.cri.pod-annotations": true },
      },
      { type: "portmap", snat: true, capabilities: { portMappings: true } },
    ],
  });
}

/**
 * The conflist that the template makes of `present`, the one that is there.
 *
 * @throws {InputError} for a variable that nobody knows, or a template that is no configuration.
 */
export function conflistOf(template: string, values: TemplateValues, present?: string): string {
  const list = asList(objectOf(filled(template, values), "CNI_NETWORK_CONFIG"));
  const own = pluginsOf(list).map(withoutCredentials);
  const types = own.map(({ type }) => type);
  const kept = foreignPlugins(present, types);
  const content = { ...list, [installedKey]: types, plugins: [...own, ...kept] };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** True for a conflist that `conflistOf` has made. */
export function isInstalled(text: string): boolean {
  return Array.isArray(parsed(text)?.[installedKey]);
}

function filled(template: string, values: TemplateValues): string {
  // MTU and booleans stand there without quotes: only text is escaped.
  const text = template.replaceAll(/__[A-Z0-9_]+?__/g, (name) => {
    const value = values[name.slice(2, -2)];
    if (value !== undefined) return JSON.stringify(value).slice(1, -1);
    throw new InputError(`Cannot fill in the network configuration: ${name} is not known`);
  });
  return text;
}

function objectOf(text: string, what: string): Json {
  const value = parsed(text);
  if (value !== undefined) return value;
  throw new InputError(`Cannot accept ${what}: it is no JSON object`);
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? (value as Json)
      : undefined;
  } catch {
    return undefined;
  }
}

/** One plugin alone is a chain of one. */
function asList(config: Json): Json {
  if (Array.isArray(config["plugins"])) return config;
  const { name, cniVersion, ...plugin } = config;
  return { name, cniVersion, plugins: [plugin] };
}

function pluginsOf(list: Json): readonly Json[] {
  const plugins = list["plugins"] as readonly unknown[];
  if (plugins.length > 0 && plugins.every(isPlugin)) return plugins;
  throw new InputError("Cannot accept CNI_NETWORK_CONFIG: each of its plugins must have a type");
}

function isPlugin(value: unknown): value is Json {
  return typeof (value as Json | null)?.["type"] === "string";
}

/** The agent has the credentials: none is to lie in a file. */
function withoutCredentials(plugin: Json): Json {
  const { policy, kubernetes: _, etcd_key_file: _key, etcd_cert_file: _cert, ...rest } = plugin;
  if (policy === undefined || policy === null) return rest;
  if (typeof policy !== "object") {
    throw new InputError(
      `Cannot accept CNI_NETWORK_CONFIG: policy must be an object, got ${JSON.stringify(policy)}`,
    );
  }
  const { k8s_auth_token: _token, k8s_client_key: _clientKey, ...kept } = policy as Json;
  return { ...rest, policy: kept };
}

/** What others have put into the chain that is there, like a service mesh. */
function foreignPlugins(present: string | undefined, types: readonly unknown[]): readonly Json[] {
  const list = present === undefined ? undefined : parsed(present);
  const plugins: unknown = list?.["plugins"];
  if (!Array.isArray(plugins)) return [];
  const installed = (list?.[installedKey] ?? []) as readonly unknown[];
  return plugins
    .filter(isPlugin)
    .filter(({ type }) => !types.includes(type) && !installed.includes(type));
}
