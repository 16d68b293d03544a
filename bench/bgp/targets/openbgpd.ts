import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { firstLine, startCommand, type Target, type TargetPlan } from "./target.ts";

const program = "/usr/sbin/bgpd";
/** Home of its user: it changes root to there. A tmpfiles rule of the package makes it at boot only. */
const chroot = "/run/openbgpd";

export const openbgpd: Target = {
  name: "OpenBGPD",
  missing: () => (existsSync(program) ? undefined : "package openbgpd is not installed"),
  version: () => firstLine("sh", ["-c", `${program} -V 2>&1`]).replace(/^OpenBGPD /, ""),
  start: (plan) => {
    mkdirSync(chroot, { recursive: true, mode: 0o755 });
    return startCommand(plan, {
      files: { "bgpd.conf": config(plan) },
      command: [program, "-d", "-f", join(plan.folder, "bgpd.conf")],
    });
  },
};

function config({ address, asn, holdSeconds, clients, folder }: TargetPlan): string {
  const neighbors = clients.map((client) => `  neighbor ${client} {\n    passive\n  }`);
  return `AS ${asn}
router-id ${address}
holdtime ${holdSeconds}
fib-update no
listen on ${address}
socket "${join(folder, "bgpd.sock")}"
group "clients" {
  remote-as ${asn}
  route-reflector ${address}
  announce IPv4 unicast
${neighbors.join("\n")}
}
allow from any
allow to any
`;
}
