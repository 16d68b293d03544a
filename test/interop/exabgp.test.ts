import { exabgp } from "../support/daemons/exabgp.ts";
import { runMatrix } from "./matrix.ts";

runMatrix(exabgp);
