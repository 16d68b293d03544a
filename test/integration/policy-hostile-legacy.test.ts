import { runHostile } from "./policy/run-hostile.ts";

runHostile("legacy");
