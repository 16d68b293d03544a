import { TextBuffer } from "./text-buffer.ts";

const newline = 0x0a;

/** The lines of a long answer as they come; an unfinished last one is none. */
export async function* linesOf(body: AsyncIterable<unknown>): AsyncGenerator<string> {
  const line = new TextBuffer();
  for await (const part of body) {
    const chunk = part as Buffer;
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      line.append(chunk, start, end);
      start = end + 1;
      const text = line.take();
      if (text !== "") yield text;
    }
    line.append(chunk, start, chunk.length);
  }
}
