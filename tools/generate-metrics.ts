import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportedMetrics } from "../test/support/exported-metrics.ts";
import { metricsDocument } from "./metrics-doc.ts";

/** Writes docs/metrics.md. */
writeFileSync(join(import.meta.dirname, "../docs/metrics.md"), metricsDocument(exportedMetrics()));
