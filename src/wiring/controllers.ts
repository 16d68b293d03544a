import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { leaseNamespace } from "../api/leases.ts";
import { autoCreateOf } from "../controllers/auto-host-endpoints.ts";
import { controllersMetrics } from "../controllers/controllers-metrics.ts";
import { hostEndpointController } from "../controllers/host-endpoint-controller.ts";
import { ipamController } from "../controllers/ipam-controller.ts";
import { IpamMetrics } from "../controllers/ipam-metrics.ts";
import { defaultLease, whileLeader } from "../controllers/leader.ts";
import { loadBalancerController } from "../controllers/load-balancer-controller.ts";
import { poolController } from "../controllers/pool-controller.ts";
import { ReconcileCounts } from "../controllers/reconcile-counts.ts";
import { reflectorController } from "../controllers/reflector-controller.ts";
import {
  type ElectionState,
  electionController,
} from "../controllers/reflectors/election-controller.ts";
import {
  defaultMetricsPort,
  serveControllersMetrics,
} from "../controllers/serve-controllers-metrics.ts";
import {
  type ControllersState,
  forgetStatus,
  keepStatusFile,
  statusFile,
} from "../controllers/status-file.ts";
import { kubernetesConfigOf } from "../datastore/kubernetes/kubernetes-config.ts";
import { datastoreType, openDatastore } from "../datastore/open-datastore.ts";
import { Ipam } from "../ipam/ipam.ts";
import { systemClock } from "../lib/clock.ts";
import { runServices, type Service } from "../lib/service.ts";
import { copiesOf } from "./kubernetes-copies.ts";
import { type Environment, runDaemon } from "./process.ts";

/** `tortie controllers`: one works, however many run. Gives the exit code. */
export function runControllersProcess(env: Environment): Promise<number> {
  return runDaemon("controllers", env, async (log, signal) => {
    const override = autoCreateOf(env["AUTO_HOST_ENDPOINTS"]);
    forgetStatus(statusFile(env));
    const datastore = await openDatastore(env);
    try {
      const clock = systemClock;
      const ipam = new Ipam({ datastore, clock, random: Math.random });
      const lease = {
        ...defaultLease,
        namespace: leaseNamespace,
        name: "tortie-controllers",
        identity: `${hostname()}_${randomBytes(6).toString("hex")}`,
      };
      const counts = new ReconcileCounts();
      const metrics = new IpamMetrics();
      const ports = { datastore, ipam, clock, log, counts };
      const state: ControllersState = { isLeading: false };
      const onState = (reflectors: ElectionState) => Object.assign(state, { reflectors });
      const services = [
        ipamController({ ...ports, metrics }),
        hostEndpointController({ ...ports, override }),
        reflectorController(ports),
        electionController({ ...ports, onState }),
      ];
      if (datastoreType(env) === "kubernetes") services.push(loadBalancerController(ports));
      if (keepsFinalizers(env)) services.push(poolController(ports));
      const copies = copiesOf(env, ports);
      if (copies !== undefined) services.push(copies);
      const work: Service = async (stop) => {
        state.isLeading = true;
        await runServices(services, stop).finally(() => {
          Object.assign(state, { isLeading: false, reflectors: undefined });
        });
      };
      const run = whileLeader(lease, work, { datastore, clock, log });
      const source = { state, counts, ipam: metrics };
      // As Calico's in a cluster; on a bare host, where others may use the port, only when it is asked for.
      const port = datastoreType(env) === "kubernetes" ? defaultMetricsPort : 0;
      const served = serveControllersMetrics(() => controllersMetrics(source), port, ports);
      const status = keepStatusFile(statusFile(env), { ...ports, state });
      await runServices([run, status, served], signal);
    } finally {
      await datastore.close();
    }
  });
}

/** Only where pools are custom resources themselves does the server wait for their finalizers. */
function keepsFinalizers(env: Environment): boolean {
  return (
    datastoreType(env) === "kubernetes" &&
    kubernetesConfigOf(env).apiGroup === "projectcalico.org/v3"
  );
}
