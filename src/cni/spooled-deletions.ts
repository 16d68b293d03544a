import { rmSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import type { Logger } from "../lib/log.ts";
import type { CniAgent } from "./agent.ts";
import type { Attachment, Plugin } from "./call.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import { type CniCall, decodeCall, spoolFile } from "./protocol.ts";

/** Answers that will not be others at the next try. */
const final: ReadonlySet<number> = new Set([
  cniCodes.incompatibleVersion,
  cniCodes.unsupportedField,
  cniCodes.environment,
  cniCodes.decoding,
  cniCodes.invalidConfig,
]);
const retryMs = 10_000;

/**
 * Deletions that the plugin could not hand over, because no agent was there: it wrote each down in a file
 * of its own (mode 0600, folder 0700), told the runtime that it is done, and they are done here. Each acts
 * only on the container that it names. Differs from facts 6.8 on purpose: there DEL fails meanwhile.
 */
export class SpooledDeletions {
  readonly #folder: string;
  readonly #log: Logger;
  /** By file: one that is being carried out ends before its container may be added again. */
  readonly #lock = new KeyedLock();

  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** A container that is added again is not to be deleted any more. */
  forget(plugin: Plugin, attachment: Attachment): Promise<void> {
    const name = spoolFile(plugin, attachment);
    return this.#lock.run(name, async () => rmSync(join(this.#folder, name), { force: true }));
  }

  /** Tries each once. What fails, and may go well another time, stays. */
  async carryOut(agent: Pick<CniAgent, "answer">): Promise<void> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    // A file that is being written begins with a dot.
    for (const name of names.filter((each) => !each.startsWith("."))) {
      await this.#lock.run(name, () => this.#one(name, agent));
    }
  }

  /** Until `signal` aborts: again and again, as others may come while the agent does not answer. */
  async keepUp(
    ports: { readonly agent: Pick<CniAgent, "answer">; readonly clock: Clock },
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      await ports.clock.sleep(retryMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.tryOut(ports.agent);
    }
  }

  /** As `carryOut`; what keeps all of them from it is logged. */
  async tryOut(agent: Pick<CniAgent, "answer">): Promise<void> {
    await this.carryOut(agent).catch((err: unknown) => {
      this.#log.warn({ err, folder: this.#folder }, "Spooled deletions cannot be read");
    });
  }

  /** One that cannot be read does not keep the others from their end. */
  async #one(name: string, agent: Pick<CniAgent, "answer">): Promise<void> {
    const file = join(this.#folder, name);
    try {
      const outcome = await outcomeOf(file, agent);
      if (outcome === undefined) return;
      const { done, ...fields } = outcome;
      if (done) await rm(file, { force: true });
      this.#log[done && fields.code === undefined ? "info" : "warn"](
        { file: name, ...fields },
        done ? "Spooled deletion ended" : "Spooled deletion waits",
      );
    } catch (err) {
      this.#log.warn({ err, file: name }, "Spooled deletion cannot be carried out");
    }
  }
}

interface Outcome {
  readonly done: boolean;
  readonly code?: number;
  readonly answer?: string;
}

/** Undefined when the file is no more. */
async function outcomeOf(
  file: string,
  agent: Pick<CniAgent, "answer">,
): Promise<Outcome | undefined> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const call = decoded(bytes);
  if (call instanceof CniError) {
    return { done: true, code: call.cniCode, answer: `${call.message}: ${call.details}` };
  }
  if (call.variables.CNI_COMMAND !== "DEL") return { done: true, code: cniCodes.environment };
  const { exitCode, stdout } = await agent.answer(call, undefined);
  if (exitCode === 0) return { done: true };
  const { code } = JSON.parse(stdout) as { code: number };
  return { done: final.has(code), code, answer: stdout.trim() };
}

function decoded(bytes: Buffer): CniCall | CniError {
  try {
    return decodeCall(bytes);
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
}
