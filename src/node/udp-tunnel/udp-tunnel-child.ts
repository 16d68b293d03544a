import { poolEncapsulation } from "../../api/pool-encapsulation.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { Datastore } from "../../datastore/datastore.ts";
import { outerFamily } from "../../felix/calc/l3-routes.ts";
import type { ParameterValues } from "../../felix/config/values.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { LatestValue } from "../../lib/latest-value.ts";
import { aborted, type Service } from "../../lib/service.ts";
import { type SupervisedChild, type SupervisorPorts, superviseChild } from "../supervisor.ts";

/** Port that `tortie udp-tunnel` has to serve on this node; undefined: no pool asks for it. */
export function udpTunnelPort(
  pools: readonly IPPool[],
  { udpPort }: Pick<ParameterValues, "udpPort">,
): number | undefined {
  return pools.some((pool) => poolEncapsulation(pool).class === "udp") ? udpPort : undefined;
}

/** Family of the tunnel's own packets on this node; without such a pool nobody asks. */
export async function udpTunnelFamily(
  pools: readonly IPPool[],
  name: string,
  datastore: Pick<Datastore, "get">,
): Promise<IpFamily> {
  if (!pools.some((pool) => poolEncapsulation(pool).class === "udp")) return 4;
  return outerFamily(await datastore.get({ kind: "Node", name }));
}

/** What of our environment the process is given: it needs no datastore, and gets nobody's secrets. */
const passedOn = ["PATH", "FELIX_LOGSEVERITYSCREEN", "NODE_COMPILE_CACHE"];

export function udpTunnelChild(
  port: number,
  command: { readonly program: string; readonly args: readonly string[] },
  env: Readonly<Record<string, string | undefined>>,
): SupervisedChild {
  const subcommand = "udp-tunnel";
  return {
    name: subcommand,
    subcommand,
    program: command.program,
    args: [...command.args, subcommand, "--port", `${port}`],
    env: Object.fromEntries(passedOn.map((name) => [name, env[name]])),
  };
}

/** Keeps the process running while there is a port to serve. */
export function superviseUdpTunnel(
  ports: LatestValue<number | undefined>,
  childOf: (port: number) => SupervisedChild,
  supervisor: SupervisorPorts,
): Service {
  return async (signal) => {
    for (;;) {
      const latest = await ports.next(signal);
      if (latest === undefined) return;
      const until = AbortSignal.any([signal, latest.outdated]);
      if (latest.value === undefined) await aborted(until);
      else await superviseChild(childOf(latest.value), supervisor)(until);
    }
  };
}
