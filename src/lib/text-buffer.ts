/**
 * Bytes on their way to texts, in UTF-8: one buffer for all items or lines of an answer. Measured with 10,000 pods: a
 * buffer for each leaves 24 to 45 MB of C heap, one for all leaves 8.
 */
export class TextBuffer {
  #bytes = Buffer.allocUnsafeSlow(16_384);
  #length = 0;

  append(from: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    from.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** What was appended since the last text. */
  take(): string {
    const text = this.#bytes.toString("utf8", 0, this.#length);
    this.#length = 0;
    return text;
  }
}
