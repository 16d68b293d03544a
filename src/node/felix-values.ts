import { felixLayers } from "../api/felix-layers.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { isDatastoreError } from "../datastore/datastore.ts";
import { localSources } from "../felix/config/config-file.ts";
import { readParameters } from "../felix/config/read-parameters.ts";
import type { ParameterValues } from "../felix/config/values.ts";
import { InputError } from "../lib/errors.ts";
import type { StoredInputs } from "./stored-inputs.ts";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Felix's parameters on this node, as felix has them. While the datastore holds what felix cannot use,
 * those of this machine alone.
 *
 * @throws {InputError} for what the environment or the configuration file says.
 */
export async function felixValues(
  env: Env,
  nodeName: string,
  {
    configurations,
    datastore,
  }: Pick<StoredInputs, "configurations"> & { readonly datastore: Datastore },
): Promise<ParameterValues> {
  const local = localSources(env);
  const labels = await labelsOf(nodeName, datastore);
  const stored = felixLayers(configurations, { name: nodeName, labels });
  try {
    return readParameters({ ...stored, ...local }).values;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return readParameters(local).values;
  }
}

async function labelsOf(
  name: string,
  datastore: Datastore,
): Promise<Readonly<Record<string, string>>> {
  try {
    return (await datastore.get({ kind: "Node", name })).metadata.labels ?? {};
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}
