import type { IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";

/** The lines of a long answer as they come; an unfinished last one is none. */
export async function* linesOf(body: IncomingMessage): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let pieces: string[] = [];
  for await (const chunk of body) {
    const lines = decoder.write(chunk as Buffer).split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      const whole = pieces.length === 0 ? line : pieces.join("") + line;
      pieces = [];
      if (whole !== "") yield whole;
    }
    if (last !== "") pieces.push(last);
  }
}
