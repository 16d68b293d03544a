import { openbgpd } from "../support/daemons/openbgpd.ts";
import { runMatrix } from "./matrix.ts";

runMatrix(openbgpd);
