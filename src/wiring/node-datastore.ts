import { join } from "node:path";
import type { Datastore } from "../datastore/datastore.ts";
import { datastoreType, openDatastore } from "../datastore/open-datastore.ts";
import { sharedDatastore, sharingDatastore } from "../datastore/shared/shared-datastore.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";
import { runDirectory } from "../node/child-process-file.ts";
import type { Environment } from "./process.ts";

/**
 * The datastore of `tortie node`, and what tells its daemons what all three follow: only of Kubernetes, where each
 * kind that a process follows is a connection of its own.
 */
export async function openSharingDatastore(
  env: Environment,
  log: Logger,
): Promise<{ readonly datastore: Datastore; readonly serve?: Service }> {
  const datastore = await openDatastore(env);
  if (datastoreType(env) !== "kubernetes") return { datastore };
  const path = feedPath(env);
  const sharing = sharingDatastore({ datastore, path, clock: systemClock, log });
  const serve: Service = async (signal) => {
    try {
      await sharing.serve(signal);
    } catch (err) {
      log.error({ err, path }, "felix and bgp are told nothing: each follows the datastore itself");
    }
  };
  return { datastore: sharing.datastore, serve };
}

/** The datastore of a daemon of a node. */
export async function openSharedDatastore(env: Environment, log: Logger): Promise<Datastore> {
  const datastore = await openDatastore(env);
  if (datastoreType(env) !== "kubernetes") return datastore;
  return sharedDatastore({ datastore, path: feedPath(env), clock: systemClock, log });
}

function feedPath(env: Environment): string {
  return join(runDirectory(env), "datastore.sock");
}
