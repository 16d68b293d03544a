import { InputError } from "../../lib/errors.ts";
import { Speaker } from "../speaker/speaker.ts";
import { fromJson } from "./event-json.ts";
import type { RecordHeading, RecordLine } from "./recording.ts";

/**
 * The speaker after all events of a recording. A last line that is cut, as of a process that was
 * killed, does not count.
 *
 * @throws {InputError} with the number of the line that cannot be read.
 */
export async function replay(
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<{ readonly speaker: Speaker; readonly events: number }> {
  const speaker = new Speaker();
  let number = 0;
  let cut: InputError | undefined;
  for await (const line of lines) {
    if (cut !== undefined) throw cut;
    number++;
    const value = parsed(line);
    if (number === 1) checkHeading(value);
    else if (value === undefined) cut = new InputError(`Cannot replay: line ${number} is no event`);
    else speaker.handle((value as RecordLine).event);
  }
  if (number === 0) checkHeading(undefined);
  return { speaker, events: Math.max(0, number - 1 - (cut === undefined ? 0 : 1)) };
}

function checkHeading(value: object | undefined): void {
  const { recorded, version } = (value ?? {}) as Partial<RecordHeading>;
  if (recorded === "tortie bgp" && version === 1) return;
  throw new InputError("Cannot replay: the first line is not that of a recording of version 1");
}

function parsed(line: string): object | undefined {
  try {
    const value = fromJson(line);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
