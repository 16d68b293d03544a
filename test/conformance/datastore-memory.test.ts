import { MemoryDatastore } from "../support/memory-datastore.ts";
import { datastoreSuite } from "./datastore.suite.ts";

/** Unit tests trust this one to behave as the others do. */
const store = new MemoryDatastore();

datastoreSuite({
  name: "memory",
  open: async () => store,
  compact: async (revision) => store.compact(revision),
});
