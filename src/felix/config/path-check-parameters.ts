import { acts, type TableOf } from "./parameter.ts";
import { choice, duration, integer } from "./types.ts";
import type { PathCheckValues } from "./values.ts";

const tested = "unit/felix/config/path-check-parameters";
const ours = { note: "ours, docs/check-paths.md" } as const;

export const pathCheckParameters: TableOf<PathCheckValues> = {
  pathChecks: acts(choice("Disabled", "Enabled"), "Disabled", tested, ours),
  pathCheckPort: acts(integer(1, 65535), "5474", tested, ours),
  pathCheckInterval: acts(duration(), "0", tested, ours),
  pathCheckPeers: acts(integer(1, 100), "8", tested, ours),
};
