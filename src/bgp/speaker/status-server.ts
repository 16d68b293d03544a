import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { errorMessage } from "../../lib/errors.ts";
import { aborted } from "../../lib/service.ts";

const maxRequestBytes = 1024;
const maxConnections = 16;
const requestTimeoutMs = 5000;

/**
 * Answers questions on a unix socket that only its owner may open: one line, a JSON object back, then
 * the end. A question that cannot be answered gets {"error": ...}.
 */
export async function serveStatus(
  path: string,
  answer: (request: string) => unknown,
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const server = createServer((socket) => converse(socket, answer));
  server.maxConnections = maxConnections;
  const listening = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", resolve);
  });
  // The socket is bound within this call, so nobody finds it with wider permissions.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await listening;
  await aborted(signal);
  await new Promise((resolve) => server.close(resolve));
}

function converse(socket: Socket, answer: (request: string) => unknown): void {
  let text = "";
  socket.setEncoding("utf8");
  socket.setTimeout(requestTimeoutMs, () => socket.destroy());
  // A client that has gone is no news.
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    text += chunk;
    if (text.length > maxRequestBytes) socket.destroy();
    const [line, rest] = text.split("\n");
    if (line === undefined || rest === undefined) return;
    socket.removeAllListeners("data");
    socket.end(`${JSON.stringify(answerTo(line.trim(), answer))}\n`);
  });
}

function answerTo(request: string, answer: (request: string) => unknown): unknown {
  try {
    return answer(request);
  } catch (error) {
    return { error: errorMessage(error) };
  }
}
