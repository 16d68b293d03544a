import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startCommand, type Target, type TargetPlan } from "./target.ts";

const ownCheckout = fileURLToPath(new URL("../../../", import.meta.url));
const probeProgram = new URL("../probe/probe.ts", import.meta.url).href;

export interface TortieOptions {
  /** CPU profiles go there. */
  readonly profileFolder?: string;
  /** Root of the sources; absent: these. */
  readonly checkout?: string;
}

/** `bin/tortie bgp --config FILE`, with a probe in its process. */
export function tortie({ profileFolder, checkout = ownCheckout }: TortieOptions): Target {
  const root = resolve(checkout);
  return {
    name: "tortie",
    missing: () => undefined,
    version: () => {
      const text = readFileSync(join(root, "package.json"), "utf8");
      return `${(JSON.parse(text) as { version: string }).version} on Node ${process.version}`;
    },
    holdSeconds: 9,
    start: async (plan) => {
      const file = join(plan.folder, "speaker.yaml");
      const probe = join(plan.folder, "probe.json");
      const profile =
        profileFolder === undefined ? {} : { TORTIE_BENCH_PROFILE: resolve(profileFolder) };
      const running = await startCommand(plan, {
        files: { "speaker.yaml": config(plan) },
        command: [join(root, "bin/tortie"), "bgp", "--config", file],
        env: {
          NODE_OPTIONS: `--import=${probeProgram}`,
          TORTIE_RUN_DIR: plan.folder,
          TORTIE_BENCH_PROBE: probe,
          ...profile,
        },
      });
      return { ...running, probe };
    },
  };
}

function config({ address, asn, clients }: TargetPlan): string {
  const neighbors = clients.map(
    (client) => `  - {address: ${client}, asn: ${asn}, passive: true, routeReflectorClient: true}`,
  );
  return `asn: ${asn}
routerId: ${address}
listen: [{address: ${address}, port: 179}]
kernel: {install: false}
neighbors:
${neighbors.join("\n")}
`;
}
