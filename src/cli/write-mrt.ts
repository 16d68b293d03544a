import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { MrtRow } from "../bgp/control/mrt-rows.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { CommandIo } from "./io.ts";

/** Puts an MRT file together from the rows of a dump. @throws {InputError} */
export async function writeMrt(
  rows: AsyncIterable<unknown>,
  path: string,
  io: CommandIo,
): Promise<void> {
  let octets = 0;
  async function* parts() {
    for await (const row of rows) {
      const part = Buffer.from((row as MrtRow).mrt, "base64");
      octets += part.length;
      yield part;
    }
  }
  try {
    await pipeline(parts, createWriteStream(path));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`Cannot write "${path}": ${errorMessage(error)}`, { cause: error });
  }
  io.stdout.write(`${path}: ${octets} octets\n`);
}
