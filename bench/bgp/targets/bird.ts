import { existsSync } from "node:fs";
import { join } from "node:path";
import { firstLine, startCommand, type Target, type TargetPlan } from "./target.ts";

const program = "/usr/sbin/bird";

export const bird: Target = {
  name: "BIRD",
  missing: () => (existsSync(program) ? undefined : "package bird2 is not installed"),
  version: () => firstLine("sh", ["-c", `${program} --version 2>&1`]).replace(/^BIRD version /, ""),
  start: (plan) => {
    const file = join(plan.folder, "bird.conf");
    const socket = join(plan.folder, "bird.ctl");
    return startCommand(plan, {
      files: { "bird.conf": config(plan) },
      command: [program, "-f", "-c", file, "-s", socket],
    });
  },
};

/** No kernel protocol: nothing is installed. Next hops are of the link, so none is recursive. */
function config({ address, asn, holdSeconds, clients }: TargetPlan): string {
  const neighbors = clients.map(
    (client, i) => `protocol bgp c${i} from reflected { neighbor ${client} as ${asn}; }`,
  );
  return `router id ${address};
protocol device {}
protocol direct { ipv4; interface "eth0"; }
template bgp reflected {
  local ${address} as ${asn};
  rr client;
  rr cluster id ${address};
  direct;
  passive;
  hold time ${holdSeconds};
  graceful restart off;
  connect delay time 1;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_BGP; gateway direct; next hop keep; };
}
${neighbors.join("\n")}
`;
}
