import { defaultControlPath } from "../bgp/control/control-path.ts";
import { reflectorHealth, reflectorIdentity } from "../bgp/reflector/reflector-environment.ts";
import { reflectorUnready } from "../bgp/reflector/reflector-readiness.ts";
import { runReflector } from "../bgp/reflector/reflector-service.ts";
import { openDatastore } from "../datastore/open-datastore.ts";
import { systemClock } from "../lib/clock.ts";
import { LogTail } from "../lib/log-tail.ts";
import { runServices, type Service } from "../lib/service.ts";
import { HealthReports, healthServer } from "../node/health.ts";
import { acceptStored } from "./decode.ts";
import { type Environment, runDaemon, teed } from "./process.ts";

/** `tortie bgp --reflector`: what the pods of deploy/route-reflector.yaml run. Gives the exit code. */
export function runReflectorProcess(env: Environment): Promise<number> {
  const tail = new LogTail();
  return runDaemon(
    "bgp",
    env,
    async (log, signal) => {
      const identity = reflectorIdentity(env);
      const health = reflectorHealth(env);
      const datastore = await openDatastore(env);
      const clock = systemClock;
      const startedAt = clock.now();
      const reports = new HealthReports();
      let sessions = () => ({ configured: false, clients: 0, established: 0 });
      reports.follow(() => {
        const reason = reflectorUnready(sessions(), clock.now() - startedAt);
        return { bgp: { live: true, ready: reason === "", reason } };
      });
      const config = { identity, env, controlPath: defaultControlPath(env) };
      const deps = { datastore, clock, log, tail, decode: acceptStored(log) };
      const reflector = runReflector(config, deps, (now) => {
        sessions = now;
      });
      const services: Service[] = [reflector];
      if (health !== undefined) services.push(healthServer(health, reports));
      try {
        await runServices(services, signal);
      } finally {
        await datastore.close();
      }
    },
    { destination: teed(tail) },
  );
}
