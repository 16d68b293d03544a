import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployManifests } from "./deploy/manifests.ts";

/**
 * Writes the manifests that people apply.
 *
 * Usage: node tools/generate-deploy.ts [FOLDER]   (default: deploy)
 */

const folder = process.argv[2] ?? join(import.meta.dirname, "../deploy");
for (const [file, text] of Object.entries(deployManifests())) {
  writeFileSync(join(folder, file), text);
}
