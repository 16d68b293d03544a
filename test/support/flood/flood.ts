import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { waitFor } from "../wait-for.ts";
import type { FloodCounts, FloodOrder } from "./flood-process.ts";

/** A process that sends datagrams from network namespaces, thousands a second. */
export class Flood implements Disposable {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL("flood-process.ts", import.meta.url)));
  #sent: FloodCounts = {};

  constructor() {
    this.#child.on("message", (counts: FloodCounts) => {
      this.#sent = counts;
    });
  }

  /** From the namespace at this path, to an address that may not be there yet. */
  start(path: string, to: string): void {
    this.#tell({ start: path, to });
  }

  stop(path: string): void {
    this.#tell({ stop: path });
  }

  /** Until so many more have been sent from each of the namespaces. */
  async more(count: number, paths: readonly string[]): Promise<void> {
    const before = paths.map((path) => this.#sent[path] ?? 0);
    const enough = () =>
      paths.every((path, index) => (this.#sent[path] ?? 0) >= (before[index] ?? 0) + count);
    await waitFor(enough, { what: "the flood" });
  }

  [Symbol.dispose](): void {
    this.#child.disconnect();
  }

  #tell(order: FloodOrder): void {
    this.#child.send(order);
  }
}
