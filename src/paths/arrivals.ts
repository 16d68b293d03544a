/** Runs of others whose probes are remembered, and probes of one run. */
const maxRuns = 256;
const maxProbes = 1024;

/** Which probes arrived here, of the last runs. */
export class Arrivals {
  readonly #runs = new Map<string, Set<number>>();

  add(sender: string, run: string, number: number): void {
    const key = `${sender} ${run}`;
    const numbers = this.#runs.get(key) ?? new Set();
    // The one used last stands last.
    this.#runs.delete(key);
    this.#runs.set(key, numbers);
    if (numbers.size < maxProbes) numbers.add(number);
    if (this.#runs.size > maxRuns) {
      const [oldest] = this.#runs.keys();
      if (oldest !== undefined) this.#runs.delete(oldest);
    }
  }

  /** Of the numbers from `first` on, those that arrived. */
  since(sender: string, run: string, first: number, count: number): number[] {
    const numbers = this.#runs.get(`${sender} ${run}`);
    return Array.from({ length: count }, (_, i) => first + i).filter((one) => numbers?.has(one));
  }
}
