/** Where a command reads and writes. `process` fits; so does a test's array. */
export interface CommandIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface TextSink {
  write(text: string): unknown;
}
