import { runWorkload } from "./policy/run-workload.ts";

/** Seconds of what policy-workload.long.ts does for a minute. */
runWorkload({ seconds: 6, changes: 50 });
