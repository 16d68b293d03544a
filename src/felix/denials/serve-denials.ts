import { type LineClient, serveLines } from "../../lib/line-server.ts";
import type { LogTail } from "../../lib/log-tail.ts";

/**
 * A client writes {"request": "denials", "follow": false} as a line and reads lines of JSON: {"row":
 * Denial} for each of the last denials, with `follow` for those to come too; then {"end": true}, or
 * {"error": "why not"}.
 */
export interface DenialsRequest {
  readonly request: "denials";
  readonly follow: boolean;
}

const maxRequestLength = 1024;

export function serveDenials(path: string, tail: LogTail, signal: AbortSignal): Promise<void> {
  const line = async (text: string, client: LineClient) => {
    const request = parsed(text);
    if (request === undefined) {
      await client.write(lineOf({ error: `Cannot answer "${text.slice(0, 100)}"` }));
      return;
    }
    for (const row of tail.last()) await client.write(lineOf({ row }));
    if (request.follow) {
      for await (const row of tail.follow(client.signal)) await client.write(lineOf({ row }));
    }
    await client.write(lineOf({ end: true }));
  };
  return serveLines({ path, maxLength: maxRequestLength }, { line }, signal);
}

function parsed(text: string): DenialsRequest | undefined {
  try {
    const { request, follow } = JSON.parse(text);
    return request === "denials" ? { request, follow: follow === true } : undefined;
  } catch {
    return undefined;
  }
}

function lineOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
