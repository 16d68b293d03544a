import type { TestEvent } from "node:test/reporters";

/** Prints failures, then the line that CI reads: "N passed, N failed[, N skipped]". */
// biome-ignore lint/style/noDefaultExport: node:test asks for it
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let [passed, failed, skipped] = [0, 0, 0];
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") {
      yield data.message;
      continue;
    }
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details.type === "suite") continue;
    if (data.skip !== undefined) {
      skipped++;
      yield `SKIP ${data.name}: ${data.skip}\n`;
    } else if (type === "test:pass") {
      passed++;
    } else {
      failed++;
      const { error } = data.details as { error: { cause?: { stack?: string }; message: string } };
      yield `FAIL ${data.file ?? ""} ${data.name}\n     ${error.cause?.stack ?? error.message}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`;
}
