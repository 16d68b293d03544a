import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";

/** Counts one object up by compare-and-swap: FOLDER TIMES. One of several processes of a test. */
const [folder = "", times = "0"] = process.argv.slice(2);
const store = openEmbeddedDatastore(folder);
for (let done = 0; done < Number(times); ) {
  const counter = await store.get({ kind: "IPPool", name: "counter" });
  try {
    const next = String(Number(counter.spec.cidr) + 1);
    await store.update<"IPPool">({ ...counter, spec: { cidr: next } });
    done++;
  } catch (error) {
    if (!isDatastoreError(error, "conflict")) throw error;
  }
}
await store.close();
