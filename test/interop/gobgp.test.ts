import { gobgp } from "../support/daemons/gobgp.ts";
import { runMatrix } from "./matrix.ts";

runMatrix(gobgp);
