/** Part of an MRT file. */
export interface MrtRow {
  /** In base64. */
  readonly mrt: string;
}

/** Octets in a row. */
const rowLength = 48 * 1024;

/** Records as rows of some records each. Undefined between rows: a good place to pause. */
export function* mrtRows(records: Iterable<Uint8Array | undefined>): Generator<MrtRow | undefined> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for (const record of records) {
    if (record === undefined) yield undefined;
    else {
      waiting.push(record);
      length += record.length;
    }
    if (length < rowLength) continue;
    yield { mrt: Buffer.concat(waiting).toString("base64") };
    waiting = [];
    length = 0;
  }
  if (length > 0) yield { mrt: Buffer.concat(waiting).toString("base64") };
}
