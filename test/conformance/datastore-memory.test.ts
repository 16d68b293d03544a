import { MemoryDatastore } from "../support/memory-datastore.ts";
import { type DriverUnderTest, datastoreSuite } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";

/** Unit tests trust this one to behave as the others do. */
const store = new MemoryDatastore();

const driver: DriverUnderTest = {
  name: "memory",
  open: async () => store,
  compact: async (revision) => store.compact(revision),
};
await datastoreSuite(driver);
await datastoreLoadSuite(driver);
