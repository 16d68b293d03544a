import { bird } from "../support/daemons/bird.ts";
import { runMatrix } from "./matrix.ts";

runMatrix(bird);
