import type { Results } from "./run-bench.ts";

export function textTable(_results: Results): string {
  return "";
}

export async function writeDocument(_results: Results): Promise<void> {
  return;
}
