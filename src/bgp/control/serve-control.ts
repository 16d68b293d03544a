import { errorMessage } from "../../lib/errors.ts";
import { type LineClient, serveLines } from "../../lib/line-server.ts";
import { type Answer, type AnswerSources, answer, answerPlain } from "./answers.ts";
import { type ControlLine, maxAnswerLength, maxRequestLength, parseRequest } from "./protocol.ts";
import { writePages } from "./write-pages.ts";

/** Answers questions about a running speaker on a unix socket (protocol.ts). */
export function serveControl(
  path: string,
  sources: AnswerSources,
  signal: AbortSignal,
): Promise<void> {
  const line = async (text: string, client: LineClient) => {
    if (!text.startsWith("{")) {
      client.end(`${JSON.stringify(plainAnswer(text, sources))}\n`);
      return;
    }
    await client.write(lineText(await answerTo(text, sources, client)));
  };
  return serveLines({ path, maxLength: maxRequestLength }, { line }, signal);
}

/** Writes all rows of an answer. Gives its last line. */
async function answerTo(
  text: string,
  sources: AnswerSources,
  client: LineClient,
): Promise<ControlLine> {
  try {
    const { rows, follow, cursor } = answer(parseRequest(text), sources);
    await writePages(linesOf(rows), client);
    if (follow !== undefined) {
      for await (const row of follow(client.signal)) await client.write(lineText({ row }));
    }
    const next = cursor?.();
    return { end: true, ...(next === undefined ? {} : { cursor: next }) };
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

function* linesOf(rows: Answer["rows"]): Generator<string | undefined> {
  for (const row of rows) yield row === undefined ? undefined : lineText({ row });
}

function lineText(line: ControlLine): string {
  const text = JSON.stringify(line);
  if (text.length <= maxAnswerLength) return `${text}\n`;
  return `${JSON.stringify({ error: `An answer of ${text.length} characters is too long` })}\n`;
}

function plainAnswer(request: string, sources: AnswerSources): unknown {
  try {
    return answerPlain(request, sources);
  } catch (error) {
    return { error: errorMessage(error) };
  }
}
