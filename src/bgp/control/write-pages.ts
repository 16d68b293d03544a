/** Where pages of text go. */
export interface PageSink {
  /** Resolves when more can be taken; rejects when nobody reads any more. */
  write(text: string): Promise<void>;
}

/** Longest time in which text is made without the event loop getting its turn. */
const sliceMs = 4;
/** Lines are sent together up to this many characters. */
const pageLength = 64 * 1024;

/**
 * A million routes must not block the loop: after some milliseconds of text the page is sent and
 * others have their turn. Undefined is text of no length.
 */
export async function writePages(
  texts: Iterable<string | undefined>,
  sink: PageSink,
): Promise<void> {
  let page = "";
  let startedMs = performance.now();
  for (const text of texts) {
    page += text ?? "";
    if (page.length < pageLength && performance.now() - startedMs < sliceMs) continue;
    await sink.write(page);
    page = "";
    await new Promise((resolve) => setImmediate(resolve));
    startedMs = performance.now();
  }
  await sink.write(page);
}
