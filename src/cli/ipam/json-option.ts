import { InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";

/** True for `-o json`. @throws {InputError} for any other format. */
export function isJson(args: Arguments, subcommand: string): boolean {
  const format = args.value("output");
  if (format === undefined || format === "json") return format === "json";
  throw new InputError(`Cannot accept -o "${format}": ${subcommand} has only json`);
}
