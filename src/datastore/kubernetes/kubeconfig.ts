import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import {
  type Cluster,
  type Context,
  newClusters,
  newContexts,
  newUsers,
  type User,
} from "@kubernetes/client-node/dist/config_types.js";

/**
 * Where the API server is and who we are, as kubeconfig files or the cluster tell it. Of client-node this takes
 * the reading of entries alone: its KubeConfig loads the client of every kind, 75 MB and 300 ms.
 */
export interface Login {
  readonly cluster?: Cluster;
  readonly user?: User;
}

/** Where a pod finds who it is. */
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

interface ConfigFile {
  readonly clusters: readonly Cluster[];
  readonly users: readonly User[];
  readonly contexts: readonly Context[];
  readonly currentContext: string | undefined;
}

/**
 * Cluster and user of a context: the one given, else the first current one. `paths` is KUBECONFIG, files
 * separated by ":"; of two entries of one name the first counts, as with kubectl.
 *
 * @throws {Error} when a file cannot be read, or there is no such context.
 */
export async function loginOfFiles(paths: string, context: string | undefined): Promise<Login> {
  const files = await Promise.all(paths.split(":").filter(Boolean).map(readConfig));
  const wanted = context ?? files.find((file) => file.currentContext)?.currentContext;
  if (!wanted) return {};
  const found = named(
    files.flatMap((file) => file.contexts),
    wanted,
  );
  if (found === undefined) throw new Error(`there is no context "${wanted}"`);
  const cluster = named(
    files.flatMap((file) => file.clusters),
    found.cluster,
  );
  const user = named(
    files.flatMap((file) => file.users),
    found.user,
  );
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...(user === undefined ? {} : { user }),
  };
}

/** The service account of the pod that we are in; undefined where this is no pod. */
export function loginOfPod(
  env: Readonly<Record<string, string | undefined>>,
  folder: string = serviceAccountFolder,
): Login | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (!host) return undefined;
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    cluster: { name: "inCluster", server, caFile: `${folder}/ca.crt`, skipTLSVerify: false },
    user: withTokenFile({ name: "inClusterUser" }, `${folder}/token`),
  };
}

/** The file that holds the user's token, which others replace as it ages. */
export function tokenFileOf(user: User): string | undefined {
  return user.authProvider?.config?.tokenFile;
}

function named<Entry extends { readonly name: string }>(
  entries: readonly Entry[],
  name: string,
): Entry | undefined {
  return entries.find((entry) => entry.name === name);
}

async function readConfig(path: string): Promise<ConfigFile> {
  const text = readFileSync(path, "utf8");
  // A pod needs no YAML, and the package takes 14 MB.
  const isJson = text.trimStart().startsWith("{");
  const parsed: unknown = isJson ? JSON.parse(text) : (await import("yaml")).parse(text);
  const config = (parsed ?? {}) as Record<string, unknown>;
  const absolute = (file: string | undefined) => file && resolve(dirname(path), file);
  const raw = (Array.isArray(config["users"]) ? config["users"] : []) as readonly RawUser[];
  const users = newUsers(raw).map((user, index) => {
    const file = absolute(raw[index]?.user?.tokenFile);
    const paths = { certFile: absolute(user.certFile), keyFile: absolute(user.keyFile) };
    const plain = { ...user, ...given(paths) };
    return file === undefined ? plain : withTokenFile(plain, file);
  });
  const clusters = newClusters(config["clusters"]).map((cluster) => ({
    ...cluster,
    ...given({ caFile: absolute(cluster.caFile) }),
  }));
  const current = config["current-context"];
  return {
    clusters,
    users,
    contexts: newContexts(config["contexts"]),
    currentContext: typeof current === "string" ? current : undefined,
  };
}

interface RawUser {
  readonly user?: { readonly tokenFile?: string };
}

function withTokenFile(user: User, tokenFile: string): User {
  return { ...user, authProvider: { name: "tokenFile", config: { tokenFile } } };
}

function given(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
