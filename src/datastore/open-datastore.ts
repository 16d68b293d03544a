import { readFileSync } from "node:fs";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { Datastore } from "./datastore.ts";
import { type Environment, variable } from "./environment.ts";
import type { EtcdConfig, TlsFiles } from "./etcd/etcd-client.ts";
import { kubernetesConfigOf } from "./kubernetes/kubernetes-config.ts";

export { type Environment, variable };

export interface OpenOptions {
  /** Nothing will be written: an embedded datastore that is not there is then an error, and not made. */
  readonly readOnly?: boolean;
}

const defaultFolder = "/var/lib/tortie/datastore";
const defaultEndpoint = "http://127.0.0.1:2379";

/**
 * Opens the datastore that the environment names (facts 2.7): DATASTORE_TYPE, else etcdv3 where
 * ETCD_ENDPOINTS is set, else embedded. Each variable is also taken with the prefix CALICO_.
 *
 * @throws {InputError} for a value that is none of ours; {DatastoreError} unavailable.
 */
export async function openDatastore(
  env: Environment,
  options: OpenOptions = {},
): Promise<Datastore> {
  const type = datastoreType(env);
  switch (type) {
    case "embedded": {
      const { openEmbeddedDatastore } = await import("./embedded/embedded-datastore.ts");
      const folder = variable(env, "TORTIE_DATASTORE_PATH") ?? defaultFolder;
      return openEmbeddedDatastore(folder, { readOnly: options.readOnly ?? false });
    }
    case "etcdv3": {
      const { openEtcdDatastore } = await import("./etcd/etcd-datastore.ts");
      return await openEtcdDatastore(etcdConfigOf(env));
    }
    case "kubernetes": {
      const { openKubernetesDatastore } = await import("./kubernetes/kubernetes-datastore.ts");
      return await openKubernetesDatastore(kubernetesConfigOf(env));
    }
    default:
      throw new InputError(
        `Cannot accept DATASTORE_TYPE "${type}": it must be embedded, etcdv3 or kubernetes`,
      );
  }
}

/** "embedded", "etcdv3", "kubernetes", or what the user wrote. */
export function datastoreType(env: Environment): string {
  const fallback = variable(env, "ETCD_ENDPOINTS") === undefined ? "embedded" : "etcdv3";
  return variable(env, "DATASTORE_TYPE") ?? fallback;
}

function etcdConfigOf(env: Environment): EtcdConfig {
  const service = variable(env, "ETCD_DISCOVERY_SRV");
  if (service !== undefined) {
    throw new InputError(
      `Cannot accept ETCD_DISCOVERY_SRV "${service}": only ETCD_ENDPOINTS is supported`,
    );
  }
  const endpoints = endpointsOf(variable(env, "ETCD_ENDPOINTS") ?? defaultEndpoint);
  const username = variable(env, "ETCD_USERNAME");
  const password = variable(env, "ETCD_PASSWORD");
  return {
    endpoints,
    tls: tlsOf(env),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

function endpointsOf(text: string): readonly string[] {
  const endpoints = text.split(",").map((endpoint) => endpoint.trim().replace(/\/$/, ""));
  const bad = endpoints.find((endpoint) => !/^(https?:\/\/[^/\s]+|unix:\/\/\/\S+)$/.test(endpoint));
  if (bad !== undefined) {
    throw new InputError(
      `Cannot accept ETCD_ENDPOINTS "${bad}": it must be http://HOST:PORT, https://HOST:PORT or unix:///PATH`,
    );
  }
  const secure = endpoints.filter((endpoint) => endpoint.startsWith("https:"));
  if (secure.length === 0 || secure.length === endpoints.length) return endpoints;
  throw new InputError(`Cannot accept ETCD_ENDPOINTS "${text}": all must be https, or none`);
}

function tlsOf(env: Environment): TlsFiles {
  const ca = fileOf(env, "ETCD_CA_CERT_FILE");
  const certificate = fileOf(env, "ETCD_CERT_FILE");
  const key = fileOf(env, "ETCD_KEY_FILE");
  if ((certificate === undefined) !== (key === undefined)) {
    throw new InputError(
      "Cannot accept one of ETCD_CERT_FILE and ETCD_KEY_FILE: set both, or none",
    );
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

function fileOf(env: Environment, name: string): Buffer | undefined {
  const path = variable(env, name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new InputError(`Cannot accept ${name} "${path}": ${errorMessage(cause)}`, { cause });
  }
}
