import type { Row, RowId } from "./row.ts";
import { active, ebgp, passive } from "./sessions.ts";

/** What is done for each row. */
export const rows: Partial<Record<RowId, Row>> = {
  active,
  passive,
  ebgp,
};
