import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, tortieProgram } from "./daemons.ts";
import type { LabPaths, LabState } from "./lab-state.ts";
import { datastoreEnvironment } from "./node-environment.ts";

export function controllersPidFile(paths: LabPaths): string {
  return join(paths.controllersFolder, "controllers.pid");
}

/** Starts the lab's `tortie controllers`, outside of every node. */
export function startControllers(state: LabState, paths: LabPaths): void {
  mkdirSync(paths.controllersFolder, { recursive: true, mode: 0o700 });
  const { pid } = startDaemon({
    program: tortieProgram,
    args: ["controllers"],
    env: {
      ...datastoreEnvironment(state, paths, "host"),
      TORTIE_STATUS_FILE: join(paths.controllersFolder, "status.json"),
    },
    log: join(paths.controllersFolder, "controllers.log"),
  });
  writeFileSync(controllersPidFile(paths), `${pid}\n`, { mode: 0o600 });
}
