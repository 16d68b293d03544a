import { InputError } from "../../lib/errors.ts";
import { readTestFile, runTests, type TestResult } from "../../policy/policy-tests.ts";
import type { Arguments } from "../arguments.ts";
import { readDocuments } from "../documents.ts";
import type { VerbContext } from "../verb.ts";
import { loadCluster } from "./load-cluster.ts";

/** `policy test FILE...`: exit code 1 when a verdict is not as expected. */
export async function runPolicyTests(args: Arguments, context: VerbContext): Promise<number> {
  const [, ...files] = args.words;
  if (files.length === 0) throw new InputError("Cannot test without a file of tests");
  const { resources } = await loadCluster("filename", args, context);
  const results: TestResult[] = [];
  for (const file of files) {
    const options = { recursive: false, skipEmpty: false };
    for (const { source, value } of await readDocuments(file, options, context.io)) {
      try {
        results.push(...runTests(readTestFile(value), resources));
      } catch (error) {
        if (error instanceof InputError) throw new InputError(`${source}: ${error.message}`);
        throw error;
      }
    }
  }
  const failed = results.filter(({ ok }) => !ok).length;
  const { stdout } = context.io;
  if (args.value("output") === "json") stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else {
    for (const result of results) stdout.write(`${resultText(result)}\n`);
    stdout.write(`${results.length - failed} as expected, ${failed} not\n`);
  }
  return failed === 0 && results.length > 0 ? 0 : 1;
}

function resultText({ test, from, to, port, ok, expected, got }: TestResult): string {
  const flow = `${test}: ${from} -> ${to} ${port}`;
  return ok ? `ok   ${flow}: ${got}` : `FAIL ${flow}: expected ${expected}, got ${got}`;
}
