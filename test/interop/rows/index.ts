import { bfd } from "./bfd.ts";
import { communities, flap, refreshByThem, refreshByUs, withdraw } from "./changes.ts";
import { maxPrefixOurs, maxPrefixTheirs } from "./limits.ts";
import { clientOfThem, clientOfUs } from "./reflection.ts";
import { theyRestart, weRestart } from "./restart.ts";
import type { Row, RowId } from "./row.ts";
import { gtsm, gtsmWrong, md5Active, md5Passive, md5Wrong } from "./security.ts";
import { active, ebgp, passive } from "./sessions.ts";

/** What is done for each row. */
export const rows: Partial<Record<RowId, Row>> = {
  active,
  passive,
  ebgp,
  "client-of-us": clientOfUs,
  "client-of-them": clientOfThem,
  "md5-active": md5Active,
  "md5-passive": md5Passive,
  "md5-wrong": md5Wrong,
  gtsm,
  "gtsm-wrong": gtsmWrong,
  "we-restart": weRestart,
  "they-restart": theyRestart,
  "refresh-by-us": refreshByUs,
  "refresh-by-them": refreshByThem,
  communities,
  "max-prefix-ours": maxPrefixOurs,
  "max-prefix-theirs": maxPrefixTheirs,
  withdraw,
  flap,
  bfd,
};
