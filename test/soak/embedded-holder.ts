import type { ResourceKey } from "../../src/api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import { type Datastore, DatastoreError } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";

/** A process that writes to an embedded datastore for another: FOLDER. It is made to be killed. */
export type HolderCall =
  | { readonly id: number; readonly verb: "get"; readonly key: ResourceKey }
  | { readonly id: number; readonly verb: "create" | "update"; readonly resource: object }
  | {
      readonly id: number;
      readonly verb: "delete";
      readonly key: ResourceKey;
      readonly version: string | undefined;
    };

export type HolderAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: DatastoreError["detail"]; readonly message: string };

async function carryOut(store: Datastore, call: HolderCall): Promise<unknown> {
  if (call.verb === "get") return await store.get(call.key);
  if (call.verb === "delete") return await store.delete(call.key, call.version);
  return await store[call.verb]<Kind>(call.resource as ResourceOfKind[Kind]);
}

if (import.meta.main) {
  const store = openEmbeddedDatastore(process.argv[2] ?? "");
  const answer = (message: HolderAnswer) => process.send?.(message);
  process.on("message", (call: HolderCall) => {
    carryOut(store, call).then(
      (result) => answer({ id: call.id, result }),
      (error: unknown) => {
        if (!(error instanceof DatastoreError)) throw error;
        answer({ id: call.id, failure: error.detail, message: error.message });
      },
    );
  });
  process.on("disconnect", () => process.exit());
}
