import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { ControlLine, ControlRequest } from "../bgp/control/protocol.ts";
import type { DenialsRequest } from "../felix/denials/serve-denials.ts";
import { InputError } from "../lib/errors.ts";
import type { PathsRequest } from "../paths/control.ts";

export interface AskOptions {
  readonly signal?: AbortSignal;
  readonly onPage?: (cursor: string) => void;
  /** Who answers at the path: for the error that nobody does. */
  readonly answerer?: Answerer;
}

/** Who answers questions, and a hint why it may not. */
export interface Answerer {
  readonly name: string;
  readonly hint: string;
}

const speaker: Answerer = {
  name: "the speaker",
  hint: "is `tortie bgp` running, with this TORTIE_RUN_DIR?",
};

/**
 * Asks the daemon behind a control socket and gives the rows of its answer as they come. `signal`
 * ends an answer that does not end by itself; `onPage` is told where the next page begins.
 *
 * @throws {InputError} when nobody answers at `path`, or the answer is a refusal.
 */
export async function* askControl(
  path: string,
  request: ControlRequest | DenialsRequest | PathsRequest,
  { signal, onPage, answerer = speaker }: AskOptions = {},
): AsyncGenerator<unknown> {
  const socket = await connected(path, answerer);
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  // A socket that is destroyed does not end: who waits for its next line would wait for ever.
  const stop = () => {
    lines.close();
    socket.destroy();
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const text of lines) {
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

function connected(path: string, { name, hint }: Answerer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error) => {
      reject(new InputError(`Cannot reach ${name} at ${path} (${hint})`, { cause: error }));
    });
    // A daemon that ends in the middle: the lines just stop.
    socket.on("error", () => socket.destroy());
  });
}
