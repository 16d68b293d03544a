import { readOptions, usage } from "./options.ts";
import { tables, writeDocument } from "./report.ts";
import { type Results, runBench } from "./run-bench.ts";

/** `npm run bench:bgp`: tortie beside other BGP daemons, each alone with the same load. */
const options = readOptions(process.argv.slice(2));
if (options === "help") {
  process.stdout.write(usage);
} else {
  const results: Results = await runBench(options);
  process.stdout.write(`\n${tables(results)}\n`);
  if (options.writesDocument) await writeDocument(results);
}
