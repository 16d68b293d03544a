import { stringifyBigJson } from "../../lib/big-json.ts";

/** The object as indented JSON. */
export function jsonText(value: unknown): string {
  return `${stringifyBigJson(value, 2)}\n`;
}

/** The object as YAML. Loads the library only here: most commands print a table. */
export async function yamlText(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}
