import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/**
 * The text in a file that only its owner may use. One newline at its end does not count.
 *
 * @throws {Error} that names the file: it is none, is empty, too long, or others may use it.
 */
export function readSecretFile(path: string, maxBytes: number): string {
  // Without O_NONBLOCK a pipe would hold everything up.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error(`${path} is no file`);
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      throw new Error(`${path} may be used by others than its owner (mode ${mode})`);
    }
    const tooLong = `${path} holds more than ${maxBytes} octets`;
    if (stat.size > maxBytes + 2) throw new Error(tooLong);
    const text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    if (text === "") throw new Error(`${path} is empty`);
    if (Buffer.byteLength(text) > maxBytes) throw new Error(tooLong);
    return text;
  } finally {
    closeSync(file);
  }
}
