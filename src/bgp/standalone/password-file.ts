import { isAbsolute, join } from "node:path";
import { errorMessage } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import type { Placed } from "./read.ts";

/** What reading the speaker's file asks of the file system. */
export interface Files {
  /** Folder from which relative names count. */
  readonly folder: string;
  /** @throws {Error} when it cannot be read. */
  read(path: string): { readonly text: string; readonly mode: number };
}

/** Longest key of Linux (TCP_MD5SIG_MAXKEYLEN). */
const maxKeyBytes = 80;

/** The TCP-MD5 key in a file that only its owner may read. One newline at its end does not count. */
export function readPassword({ value, at }: Placed<string>, files: Files): Secret | undefined {
  const path = isAbsolute(value) ? value : join(files.folder, value);
  try {
    const { text, mode } = files.read(path);
    if ((mode & 0o077) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      return at.wrong(`may be read or written by others than its owner (mode ${octal})`);
    }
    const key = text.replace(/\r?\n$/, "");
    const bytes = Buffer.byteLength(key);
    if (bytes === 0) return at.wrong("is empty");
    if (bytes > maxKeyBytes) return at.wrong(`holds ${bytes} octets, more than ${maxKeyBytes}`);
    return new Secret(key);
  } catch (error) {
    return at.wrong(`cannot be read: ${errorMessage(error).split(",")[0]}`);
  }
}
