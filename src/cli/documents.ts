import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { CommandIo } from "./io.ts";

/** One document of a file. */
export interface SourceDocument {
  /** "policy.yaml", or "policy.yaml, document 2". */
  readonly source: string;
  readonly value: unknown;
}

export interface ReadOptions {
  readonly recursive: boolean;
  /** A file or folder without documents is no error. */
  readonly skipEmpty: boolean;
}

const maxInputBytes = 64 * 1024 * 1024;
const extensions = new Set([".json", ".yaml", ".yml"]);

/**
 * The YAML and JSON documents of a file, of the files of a folder, or of standard input ("-").
 *
 * @throws {InputError} that names the file, line and column.
 */
export async function readDocuments(
  filename: string,
  options: ReadOptions,
  io: CommandIo,
): Promise<SourceDocument[]> {
  if (filename === "-") {
    return nonEmpty(parse(await textOf(io.stdin, maxInputBytes), "stdin"), "stdin", options);
  }
  const folder = await isFolder(filename);
  const files = folder ? await filesOf(filename, options.recursive) : [filename];
  const documents: SourceDocument[] = [];
  for (const file of files) {
    documents.push(...nonEmpty(parse(await readText(file, maxInputBytes), file), file, options));
  }
  return folder ? nonEmpty(documents, filename, options) : documents;
}

/**
 * The text of a file, or of standard input ("-").
 *
 * @throws {InputError} that names the file; also for more than `maxBytes`.
 */
export function readInput(filename: string, io: CommandIo, maxBytes: number): Promise<string> {
  return filename === "-" ? textOf(io.stdin, maxBytes) : readText(filename, maxBytes);
}

/**
 * The documents of a text. Empty ones are left out. JSON is YAML, and gets the same checks: a field
 * given twice is an error in both.
 */
function parse(text: string, source: string): SourceDocument[] {
  const parsed = parseAllDocuments(text, { prettyErrors: false, strict: true });
  const documents = Array.isArray(parsed) ? parsed : [];
  return documents.flatMap((document, index) => {
    const where = documents.length > 1 ? `${source}, document ${index + 1}` : source;
    const [error] = document.errors;
    if (error !== undefined) {
      const before = text.slice(0, error.pos[0]).split("\n");
      const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
      throw new InputError(`Cannot read ${source}: ${place}: ${error.message}`);
    }
    const value: unknown = contentOf(document, where);
    return value === null || value === undefined ? [] : [{ source: where, value }];
  });
}

function contentOf(document: { toJS(): unknown }, where: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new InputError(`Cannot read ${where}: ${errorMessage(error)}`);
  }
}

function nonEmpty(
  documents: SourceDocument[],
  source: string,
  options: ReadOptions,
): SourceDocument[] {
  if (documents.length > 0 || options.skipEmpty) return documents;
  throw new InputError(`Cannot read ${source}: there are no resources in it`);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function filesOf(folder: string, recursive: boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && extensions.has(extname(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function readText(file: string, maxBytes: number): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > maxBytes) throw new InputError(`it has ${size} bytes`);
    return await readFile(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function textOf(
  stream: AsyncIterable<string | Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    size += bytes.length;
    if (size > maxBytes) throw unreadable("stdin", `it has more than ${maxBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function unreadable(path: string, cause: unknown): InputError {
  const { code } = cause as { code?: unknown };
  const why = code === "ENOENT" ? "there is no such file" : errorMessage(cause);
  return new InputError(`Cannot read ${path}: ${why}`);
}
