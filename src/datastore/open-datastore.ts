import { InputError } from "../lib/errors.ts";
import type { Datastore } from "./datastore.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const defaultFolder = "/var/lib/tortie/datastore";

/**
 * Opens the datastore that the environment names (facts 2.7): DATASTORE_TYPE, else etcdv3 where
 * ETCD_ENDPOINTS is set, else embedded. Each variable is also taken with the prefix CALICO_.
 *
 * @throws {InputError} for a type that is none of ours; {DatastoreError} unavailable.
 */
export async function openDatastore(env: Environment): Promise<Datastore> {
  const type = variable(env, "DATASTORE_TYPE") ?? defaultType(env);
  switch (type) {
    case "embedded": {
      const { openEmbeddedDatastore } = await import("./embedded/embedded-datastore.ts");
      return openEmbeddedDatastore(variable(env, "TORTIE_DATASTORE_PATH") ?? defaultFolder);
    }
    case "etcdv3": {
      const { openEtcdDatastore } = await import("./etcd/etcd-datastore.ts");
      return openEtcdDatastore({
        endpoints: endpointsOf(env),
        ...optional("username", variable(env, "ETCD_USERNAME")),
        ...optional("password", variable(env, "ETCD_PASSWORD")),
        ...optional("caFile", variable(env, "ETCD_CA_CERT_FILE")),
        ...optional("certFile", variable(env, "ETCD_CERT_FILE")),
        ...optional("keyFile", variable(env, "ETCD_KEY_FILE")),
      });
    }
    default:
      throw new InputError(
        `Cannot accept DATASTORE_TYPE "${type}": it must be embedded or etcdv3${
          type === "kubernetes" ? " (kubernetes is not built yet)" : ""
        }`,
      );
  }
}

/** The value of a variable, under its own name or with the prefix CALICO_; empty counts as absent. */
export function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[`CALICO_${name}`] || undefined;
}

function defaultType(env: Environment): string {
  return variable(env, "ETCD_ENDPOINTS") === undefined ? "embedded" : "etcdv3";
}

function endpointsOf(env: Environment): readonly string[] {
  const text = variable(env, "ETCD_ENDPOINTS") ?? "http://127.0.0.1:2379";
  const endpoints = text.split(",").map((endpoint) => endpoint.trim());
  const bad = endpoints.find(
    (endpoint) => !/^(https?:\/\/[^/\s]+|unix:\/\/\/\S+)\/?$/.test(endpoint),
  );
  if (bad === undefined) return endpoints;
  throw new InputError(
    `Cannot accept ETCD_ENDPOINTS "${bad}": it must be http://HOST:PORT, https://HOST:PORT or unix:///PATH`,
  );
}

function optional<Key extends string>(
  key: Key,
  value: string | undefined,
): { [K in Key]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: string });
}
