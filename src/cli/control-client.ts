import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { ControlLine, ControlRequest } from "../bgp/control/protocol.ts";
import { InputError } from "../lib/errors.ts";

export interface AskOptions {
  readonly signal?: AbortSignal;
  readonly onPage?: (cursor: string) => void;
}

/**
 * Asks the speaker behind a control socket and gives the rows of its answer as they come. `signal`
 * ends an answer that does not end by itself; `onPage` is told where the next page begins.
 *
 * @throws {InputError} when nobody answers at `path`, or the answer is a refusal.
 */
export async function* askControl(
  path: string,
  request: ControlRequest,
  { signal, onPage }: AskOptions = {},
): AsyncGenerator<unknown> {
  const socket = await connected(path);
  const stop = () => socket.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const text of createInterface({
      input: socket,
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      const line = JSON.parse(text) as ControlLine;
      if ("error" in line) throw new InputError(line.error);
      if ("end" in line) {
        if (line.cursor !== undefined) onPage?.(line.cursor);
        return;
      }
      yield line.row;
    }
    if (signal?.aborted !== true) throw new Error(`Cannot read all of the answer of ${path}`);
  } finally {
    signal?.removeEventListener("abort", stop);
    socket.destroy();
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error) => {
      const message = `Cannot reach the speaker at ${path} (is \`tortie bgp\` running, with this TORTIE_RUN_DIR?)`;
      reject(new InputError(message, { cause: error }));
    });
    // A speaker that ends in the middle: the lines just stop.
    socket.on("error", () => socket.destroy());
  });
}
