import type { Service } from "../api/resources/kubernetes.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { Update } from "../datastore/syncer.ts";
import { serviceType } from "../ipam/allocation-use.ts";
import type { Allocation } from "../ipam/audit.ts";
import { loadBalancerHost } from "../ipam/block-affinity.ts";
import type { Ipam } from "../ipam/ipam.ts";
import { IpamError } from "../ipam/ipam-error.ts";
import { type Pool, poolsOf } from "../ipam/pools.ts";
import type { Clock } from "../lib/clock.ts";
import { groupBy } from "../lib/collections.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import { ingressWithout, planService, type ServicePlan, withIngress } from "./service-plan.ts";
import { type AssignIPs, type ServiceWish, serviceHandle, serviceWish } from "./service-wish.ts";

export interface LoadBalancerPorts {
  readonly datastore: Datastore;
  readonly ipam: Ipam;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is known about the addresses of one Service. */
interface Work {
  readonly handle: string;
  readonly held: readonly Allocation[];
  readonly pools: readonly Pool[];
  /** There is a pool for load balancers. */
  readonly isServed: boolean;
}

/** Which Services there are, and what IPAM has given them; brings the two together. */
export class LoadBalancer {
  /** Until then nobody knows which addresses are whose. */
  isInSync = false;
  readonly #ports: LoadBalancerPorts;
  /** Those of the type LoadBalancer, by "namespace/name". */
  readonly #services = new Map<string, Service>();
  #assignIPs: AssignIPs;
  /** False once a look found no addresses of Services, and no pool to give them any. */
  #mayHold = true;
  /** What was said last of a Service, so that it is not said each minute. */
  readonly #said = new Map<string, string>();

  constructor(ports: LoadBalancerPorts) {
    this.#ports = ports;
  }

  /** @returns whether anything may be to do. */
  learn(updates: readonly Update[]): boolean {
    return updates.filter((update) => this.#learnOne(update)).length > 0;
  }

  #learnOne({ key, value }: Update): boolean {
    if (key.kind === "KubeControllersConfiguration") {
      const isThere = value?.kind === "KubeControllersConfiguration";
      this.#assignIPs = isThere ? value.spec.controllers?.loadBalancer?.assignIPs : undefined;
    }
    if (key.kind !== "Service") return true;
    const name = `${key.namespace}/${key.name}`;
    if (value?.kind === "Service" && value.spec.type === serviceType) {
      this.#services.set(name, value);
      return true;
    }
    this.#said.delete(name);
    return this.#services.delete(name);
  }

  /** @throws when the datastore failed; what IPAM refuses is logged. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { datastore, ipam } = this.#ports;
    if (!this.isInSync || (await isLocked(datastore))) return;
    const pools = poolsOf((await datastore.list("IPPool")).items);
    const isServed = pools.some(({ resource }) => resource.spec.allowedUses?.includes(serviceType));
    // Nothing to give and nothing to take back: blocks are many.
    if (!isServed && !this.#mayHold) return;
    const held = groupBy(await ipam.serviceAllocations(), ({ handle }) => handle);
    this.#mayHold = isServed || held.size > 0;
    const known = new Map(
      [...this.#services.values()].map((service) => [serviceHandle(service.metadata), service]),
    );
    const steps = [
      ...[...held]
        .filter(([handle]) => !known.has(handle))
        .map(
          ([handle, allocations]) =>
            () =>
              this.#takeBack(handle, allocations),
        ),
      ...[...known].map(
        ([handle, service]) =>
          () =>
            this.#serve(service, { handle, held: held.get(handle) ?? [], pools, isServed }),
      ),
    ];
    const failures: unknown[] = [];
    for (const step of steps) {
      if (signal.aborted) return;
      await step().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, errorMessage(failures[0]));
  }

  /** From a Service that is gone, or of another type. */
  async #takeBack(handle: string, allocations: readonly Allocation[]): Promise<void> {
    const { service: name = "", namespace = "" } = allocations[0]?.attributes ?? {};
    const service = await this.#read(name, namespace);
    const isIts = service !== undefined && serviceHandle(service.metadata) === handle;
    // It came back meanwhile: the next look knows it.
    if (isIts && service.spec.type === serviceType) return;
    await this.#release(allocations, isIts ? service : undefined);
  }

  async #serve(seen: Service, work: Work): Promise<void> {
    const { name, namespace = "" } = seen.metadata;
    try {
      if (!this.#needsWork(seen, work)) return;
      const service = await this.#read(name, namespace);
      if (service === undefined || serviceHandle(service.metadata) !== work.handle) return;
      const wish = serviceWish(service, this.#assignIPs);
      if (wish === undefined) await this.#release(work.held, service);
      else await this.#give(service, wish, work);
      this.#said.delete(`${namespace}/${name}`);
    } catch (error) {
      if (!(error instanceof IpamError || error instanceof InputError)) throw error;
      this.#say(`${namespace}/${name}`, error.message);
    }
  }

  /** By what was seen: a Service that has what it is to have is not read again. */
  #needsWork(service: Service, { held, pools, isServed }: Work): boolean {
    const wish = serviceWish(service, this.#assignIPs);
    if (wish === undefined) return held.length > 0;
    const { keep, release, assign, assignAny } = planService(wish, held, pools);
    const isMissing = isServed && assign.length + assignAny.length > 0;
    const addresses = keep.map(({ address }) => address);
    const isTold = held.length === 0 || withIngress(service, addresses) === undefined;
    return isMissing || release.length > 0 || !isTold;
  }

  /**
   * The status comes before each release: nobody is told an address that another may get.
   *
   * @throws {IpamError} when it has less than it is to have; its status tells what it has.
   */
  async #give(service: Service, wish: ServiceWish, work: Work): Promise<void> {
    const plan = planService(wish, work.held, work.pools);
    const addresses = plan.keep.map(({ address }) => address);
    let told: Service | undefined = service;
    if (plan.release.length > 0) {
      told = await this.#tell(service, addresses);
      if (told === undefined) return;
      await this.#ports.ipam.releaseIps(plan.release);
    }
    const refusals: IpamError[] = [];
    for (const assign of this.#assignments(service, wish, plan)) {
      try {
        addresses.push(...(await assign()));
      } catch (error) {
        if (!(error instanceof IpamError)) throw error;
        refusals.push(error);
      }
    }
    await this.#tell(told, addresses);
    const [refusal] = refusals;
    if (refusal !== undefined) throw refusal;
  }

  #assignments(
    { metadata }: Service,
    { pools }: ServiceWish,
    { assign, assignAny }: ServicePlan,
  ): readonly (() => Promise<readonly IpAddr[]>)[] {
    const { ipam, clock } = this.#ports;
    const { name, namespace = "" } = metadata;
    const timestamp = clock.date().toISOString();
    const owner = {
      handle: serviceHandle(metadata),
      node: loadBalancerHost,
      use: serviceType,
      attributes: { service: name, namespace, type: serviceType, timestamp },
    } as const;
    return [
      ...assign.map((address) => async () => {
        const assigned = await ipam.assignIp({ ...owner, address });
        return [assigned.address];
      }),
      ...assignAny.map((family) => async () => {
        const assigned = await ipam.autoAssign({
          ...owner,
          ...(family === 4
            ? { num4: 1, pools4: pools[4] ?? [] }
            : { num6: 1, pools6: pools[6] ?? [] }),
        });
        return assigned.map(({ address }) => address);
      }),
    ];
  }

  /** All that a Service had: the status first, too. */
  async #release(allocations: readonly Allocation[], service?: Service): Promise<void> {
    const gone = new Set<string>(allocations.map(({ address }) => address));
    if (service !== undefined) {
      const told = await this.#tell(service, ingressWithout(service, gone));
      if (told === undefined) return;
    }
    const { released } = await this.#ports.ipam.releaseIps(allocations);
    const of = allocations[0]?.attributes;
    const what = { namespace: of?.["namespace"], service: of?.["service"], released };
    this.#ports.log.info(what, "Took addresses back from a Service");
  }

  /**
   * The Service as it is then; undefined when somebody else wrote it meanwhile: the next look sees what it is now.
   */
  async #tell(service: Service, addresses: readonly IpAddr[]): Promise<Service | undefined> {
    const told = withIngress(service, addresses);
    if (told === undefined) return service;
    const { name, namespace } = service.metadata;
    try {
      const written = await this.#ports.datastore.update<"Service">(told);
      this.#ports.log.info({ namespace, service: name, addresses }, "Told a Service its addresses");
      return written;
    } catch (error) {
      if (isDatastoreError(error, "conflict") || isDatastoreError(error, "not-found"))
        return undefined;
      throw error;
    }
  }

  async #read(name: string, namespace: string): Promise<Service | undefined> {
    try {
      return await this.#ports.datastore.get({ kind: "Service", name, namespace });
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    }
  }

  #say(service: string, reason: string): void {
    if (this.#said.get(service) === reason) return;
    this.#said.set(service, reason);
    this.#ports.log.warn({ service, reason }, "Cannot give a Service its addresses");
  }
}
