import { frr } from "../support/daemons/frr.ts";
import { runMatrix } from "./matrix.ts";

runMatrix(frr);
