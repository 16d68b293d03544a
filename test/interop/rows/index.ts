import { addPathReceive, addPathSend } from "./add-path.ts";
import { bfd } from "./bfd.ts";
import { communities, flap, refreshByThem, refreshByUs, withdraw } from "./changes.ts";
import { maxPrefixOurs, maxPrefixTheirs } from "./limits.ts";
import { clientOfThem, clientOfUs } from "./reflection.ts";
import { theyRestart, weRestart } from "./restart.ts";
import type { Row, RowId } from "./row.ts";
import {
  gtsm,
  gtsmWrong,
  md5Active,
  md5Dynamic,
  md5Over6,
  md5Passive,
  md5Wrong,
} from "./security.ts";
import {
  active,
  ebgp,
  extendedNextHop,
  familiesOver4,
  familiesOver6,
  passive,
} from "./sessions.ts";

/** What is done for each row. */
export const rows: Readonly<Record<RowId, Row>> = {
  active,
  passive,
  "families-v4": familiesOver4,
  "families-v6": familiesOver6,
  "extended-next-hop": extendedNextHop,
  ebgp,
  "client-of-us": clientOfUs,
  "client-of-them": clientOfThem,
  "md5-active": md5Active,
  "md5-passive": md5Passive,
  "md5-v6": md5Over6,
  "md5-dynamic": md5Dynamic,
  "md5-wrong": md5Wrong,
  gtsm,
  "gtsm-wrong": gtsmWrong,
  "we-restart": weRestart,
  "they-restart": theyRestart,
  "refresh-by-us": refreshByUs,
  "refresh-by-them": refreshByThem,
  communities,
  "add-path-receive": addPathReceive,
  "add-path-send": addPathSend,
  "max-prefix-ours": maxPrefixOurs,
  "max-prefix-theirs": maxPrefixTheirs,
  withdraw,
  flap,
  bfd,
};
