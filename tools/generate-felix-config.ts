import { writeFileSync } from "node:fs";
import { felixConfigDocument } from "./felix-config-doc.ts";

/** Writes docs/felix-config.md. */
writeFileSync(new URL("../docs/felix-config.md", import.meta.url), felixConfigDocument());
