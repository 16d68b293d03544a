import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** `npm run bench`: every bench there is (bench/NAME/main.ts), with --quick. */
const folder = fileURLToPath(new URL(".", import.meta.url));
const benches = readdirSync(folder).filter((name) => existsSync(`${folder}${name}/main.ts`));

for (const name of benches) {
  process.stdout.write(`bench:${name}\n`);
  const args = [`${folder}${name}/main.ts`, "--quick", ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
