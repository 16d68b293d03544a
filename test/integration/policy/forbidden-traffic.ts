import { setTimeout as delay } from "node:timers/promises";
import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import type { PolicyLab } from "./policy-lab.ts";

const pauseMs = 2;
const families: readonly IpFamily[] = [4, 6];

/** Sends what no policy allows, again and again, until it is stopped. */
export class ForbiddenTraffic {
  readonly #ended: Promise<void>;
  #stopped = false;
  #sent = 0;
  /** When one passed, of performance.now(). */
  readonly #passedAt: number[] = [];

  constructor(lab: PolicyLab, probe: string) {
    this.#ended = this.#send(lab, probe);
  }

  get sent(): number {
    return this.#sent;
  }

  get passedAt(): readonly number[] {
    return this.#passedAt;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }

  async #send(lab: PolicyLab, probe: string): Promise<void> {
    while (!this.#stopped) {
      for (const family of families) {
        if (await lab.passes(probe, false, family)) this.#passedAt.push(performance.now());
        this.#sent++;
      }
      await delay(pauseMs);
    }
  }
}
