import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crdDocuments, crdGroups } from "./crds.ts";

/**
 * Writes the CRD manifests of both API groups.
 *
 * Usage: node tools/generate-crds.ts [FOLDER]   (default: deploy/crds)
 */

const folder = process.argv[2] ?? fileURLToPath(new URL("../deploy/crds", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const group of crdGroups) writeFileSync(`${folder}/${group.name}.yaml`, crdDocuments(group));
