import { stringify } from "yaml";

/** Each object as the text of a YAML document. */
export function documents(objects: readonly object[]): string[] {
  return objects.map((object) => stringify(object, { aliasDuplicateObjects: false }));
}
