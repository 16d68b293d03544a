import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** `npm run bench`: every bench there is, in its short form. */
const benches = {
  rib: ["rib/run.ts"],
  bgp: ["bgp/main.ts", "--quick"],
  ipam: ["ipam/main.ts", "--quick"],
  felix: ["felix/main.ts", "--quick"],
  cni: ["cni/main.ts", "--quick"],
  paths: ["paths/main.ts", "--quick"],
} as const;

for (const [name, [program, ...args]] of Object.entries(benches)) {
  process.stdout.write(`\nbench:${name}\n`);
  const path = fileURLToPath(new URL(program, import.meta.url));
  const { status } = spawnSync(process.execPath, [path, ...args], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
