import type { Kernel, KernelEvent } from "../../kernel/kernel.ts";
import { ipipDevice, mainTable, routeProtocol } from "../../kernel/ownership.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import { NextHops } from "../rib/next-hop.ts";

const pace = { minIntervalMs: 200, retryIntervalMs: 1000, maxIntervalMs: 60_000 };

/** Tells which next hops the kernel reaches, again after every change that may matter. */
export class Reachability {
  readonly #kernel: Pick<Kernel, "routes" | "addresses" | "links">;
  readonly #runner: PacedRunner;
  readonly #log: Logger;

  constructor(kernel: Pick<Kernel, "routes" | "addresses" | "links">, clock: Clock, log: Logger) {
    this.#kernel = kernel;
    this.#runner = new PacedRunner(pace, clock);
    this.#log = log;
  }

  async read(): Promise<NextHops> {
    const routes = await this.#kernel.routes.list({ table: mainTable });
    const addresses = await this.#kernel.addresses.list();
    const links = await this.#kernel.links.list();
    const tunnel = links.find(({ name, up }) => name === ipipDevice && up);
    return new NextHops({
      routes,
      ownAddresses: addresses.map(({ address }) => address),
      interfaceNames: new Map(links.map(({ ifindex, name }) => [ifindex, name])),
      ...(tunnel === undefined ? {} : { tunnelIfindex: tunnel.ifindex }),
    });
  }

  onKernelEvents(events: readonly KernelEvent[]): void {
    if (events.some(mayMatter)) this.#runner.request();
  }

  run(onNextHops: (nextHops: NextHops) => void, signal: AbortSignal): Promise<void> {
    return this.#runner.start(
      async () => onNextHops(await this.read()),
      (error) => this.#log.warn({ reason: errorMessage(error) }, "Next hops not resolved"),
      signal,
    );
  }
}

function mayMatter(event: KernelEvent): boolean {
  if (event.kind === "neighbor") return false;
  if (event.kind !== "route") return true;
  return event.route.table === mainTable && event.route.protocol !== routeProtocol.bird;
}
