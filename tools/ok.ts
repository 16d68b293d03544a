import { spawnSync } from "node:child_process";

/** The gate of every change, under a minute: format, lint, types, import direction, unit tests. */
const checks: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["format", "biome", "check", "src", "test", "tools", "bench"],
  ["lint", "oxlint", "--deny-warnings", "src", "test", "tools", "bench"],
  ["types", "tsc", "--noEmit", "-p", "."],
  ["imports", "node", "tools/check-imports.ts"],
  ["unit tests", "node", "tools/run-tests.ts", "unit"],
];

for (const [name, command, ...args] of checks) {
  const started = performance.now();
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: "inherit" });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (status !== 0) process.exit(1);
}
