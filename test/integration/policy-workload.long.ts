import { runWorkload } from "./policy/run-workload.ts";

runWorkload({ seconds: 60, changes: 500 });
