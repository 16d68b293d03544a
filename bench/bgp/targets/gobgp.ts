import { existsSync } from "node:fs";
import { join } from "node:path";
import { firstLine, startCommand, type Target, type TargetPlan } from "./target.ts";

const program = "/usr/bin/gobgpd";

export const gobgp: Target = {
  name: "GoBGP",
  missing: () => (existsSync(program) ? undefined : "package gobgpd is not installed"),
  version: () => firstLine(program, ["--version"]).replace(/^gobgpd version /, ""),
  start: (plan) =>
    startCommand(plan, {
      files: { "gobgpd.toml": config(plan) },
      command: [
        ...[
          program,
          "-f",
          join(plan.folder, "gobgpd.toml"),
          "--log-level=error",
          "--pprof-disable",
        ],
        "--api-hosts=127.0.0.1:50051",
      ],
    }),
};

function config({ address, asn, holdSeconds, clients }: TargetPlan): string {
  const neighbors = clients.map(
    (client) => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${client}"
    peer-as = ${asn}
  [neighbors.timers.config]
    hold-time = ${holdSeconds}
    keepalive-interval = ${holdSeconds / 3}
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${address}"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"`,
  );
  return `[global.config]
  as = ${asn}
  router-id = "${address}"
  local-address-list = ["${address}"]
${neighbors.join("")}
`;
}
