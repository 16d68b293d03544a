import assert from "node:assert/strict";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../src/felix/calc/calc-graph.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { Dataplane } from "../../src/felix/dataplane/dataplane.ts";
import type { KernelSets } from "../../src/felix/dataplane/family-part.ts";
import type { ExecHelper } from "../../src/kernel/exec-helper.ts";
import type { DesiredSet } from "../../src/kernel/ipset/ip-set.ts";
import { createLogger } from "../../src/lib/log.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeKernel } from "./fake-kernel.ts";

/** A whole dataplane of node "node-a" on a kernel in memory. */
export class FelixState {
  readonly kernel: FakeKernel;
  readonly clock: FakeClock = new FakeClock();
  /** By kernel name, what felix wants. */
  readonly sets: Map<string, DesiredSet> = new Map();
  /** What was written by iptables-restore. */
  rules = "";
  /** Programs that were run, with their arguments. */
  readonly runs: string[] = [];
  /** What was logged, a record a line. */
  logged = "";
  /** What happens while a program runs. */
  whileRunning: (() => Promise<void>) | undefined;
  readonly dataplane: Dataplane;
  readonly #graph: CalcGraph;

  constructor(
    spec: Readonly<Record<string, unknown>>,
    resources: readonly AnyResource[],
    of: { readonly kernel?: FakeKernel; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    this.kernel = of.kernel ?? new FakeKernel();
    const config = felixConfig({
      global: { endpointStatusPathPrefix: "none", ...spec },
      env: of.env ?? {},
    });
    assert.deepEqual(config.problems, []);
    this.dataplane = new Dataplane("node-a", config, {
      kernel: this.kernel,
      exec: this.#exec(),
      backend: {
        kind: "nft",
        variant: "-nft",
        version: "1.8.9",
        features: { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
      },
      log: createLogger(
        { name: "felix" },
        {
          write: (line) => {
            this.logged += line;
          },
        },
      ),
      clock: this.clock,
      openSets: () => this.#openSets(),
      hasIpv6: () => true,
    });
    this.#graph = new CalcGraph({ nodeName: "node-a", routeSource: config.routeSource });
    this.#graph.setInSync();
    this.update(...resources);
  }

  /** What the datastore says from now on. */
  update(...resources: readonly AnyResource[]): void {
    for (const resource of resources) this.#graph.update(keyOf(resource), resource);
    this.dataplane.onUpdates(this.#graph.flush());
  }

  apply(): Promise<void> {
    return this.dataplane.apply();
  }

  #exec(): ExecHelper {
    return {
      run: async (
        program: string,
        args: readonly string[],
        { stdin = "" }: { readonly stdin?: string } = {},
      ) => {
        this.runs.push([program, ...args].join(" "));
        this.rules += stdin;
        await this.whileRunning?.();
        return { code: 0, stdout: "", stderr: "" };
      },
    } as unknown as ExecHelper;
  }

  #openSets(): KernelSets {
    return {
      set: (name, set) => void this.sets.set(name, set),
      change: () => undefined,
      delete: (name) => void this.sets.delete(name),
      apply: async () => undefined,
      destroyUnused: async () => false,
      close: () => undefined,
      desiredNames: () => [...this.sets.keys()],
      resync: () => void this.runs.push("ipset list"),
    };
  }
}
