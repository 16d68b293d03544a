import { existsSync } from "node:fs";
import { join } from "node:path";
import { firstLine, startCommand, type Target, type TargetPlan } from "./target.ts";

const program = "/usr/lib/frr/bgpd";

/** Its bgpd alone: no zebra, so nothing is installed and every next hop counts as reachable. */
export function frr(coalesceMs: number | "default"): Target {
  return {
    name: coalesceMs === "default" ? "FRR" : `FRR-${coalesceMs}`,
    daemon: "FRR",
    missing: () => (existsSync(program) ? undefined : "package frr is not installed"),
    version: () => firstLine(program, ["--version"]).replace(/^bgpd version /, ""),
    start: (plan) =>
      startCommand(plan, {
        files: { "bgpd.conf": config(plan, coalesceMs) },
        command: [
          ...[program, "--no_kernel", "--no_zebra", "--skip_runas", "--vty_port", "0"],
          ...["--config_file", join(plan.folder, "bgpd.conf")],
          ...["--vty_socket", plan.folder, "--pid_file", join(plan.folder, "bgpd.pid")],
          ...["--listenon", plan.address, "--limit-fds", "10000"],
        ],
      }),
  };
}

function config(
  { address, asn, holdSeconds, clients }: TargetPlan,
  coalesceMs: number | "default",
): string {
  const members = clients.map((client) => ` neighbor ${client} peer-group clients`);
  return `frr defaults traditional
hostname bench
router bgp ${asn}
 bgp router-id ${address}
 bgp cluster-id ${address}
 no bgp network import-check
${coalesceMs === "default" ? "" : ` coalesce-time ${coalesceMs}\n`} timers bgp ${holdSeconds / 3} ${holdSeconds}
 neighbor clients peer-group
 neighbor clients remote-as ${asn}
 neighbor clients passive
 neighbor clients advertisement-interval 0
${members.join("\n")}
 address-family ipv4 unicast
  neighbor clients route-reflector-client
 exit-address-family
`;
}
