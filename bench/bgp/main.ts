import { type BenchOptions, readOptions, usage } from "./options.ts";
import { jsonText, tables, writeDocument } from "./report.ts";
import { runBench } from "./run-bench.ts";

/** `npm run bench:bgp`: tortie beside other BGP daemons, each alone with the same load. */
try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") process.stdout.write(usage);
  else await run(options);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function run(options: BenchOptions): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const results = await runBench(options, { signal: stop.signal, progress });
  process.stdout.write(options.output === "json" ? jsonText(results) : `\n${tables(results)}`);
  if (options.writesDocument) await writeDocument(results);
}
