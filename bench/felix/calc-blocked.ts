export interface Watched<Result> {
  readonly result: Result;
  readonly ms: number;
  /** Processor time of this thread: what a busy machine makes longer only a little. */
  readonly processorMs: number;
  /** The longest time for which a timer of 5 ms was late. */
  readonly blockedMs: number;
  /** The most processor time of this thread between two ticks of that timer. */
  readonly blockedProcessorMs: number;
  /** The largest resident set of this process until now. */
  readonly rssMb: number;
}

const tickMs = 5;

/** How long the work took and held up the event loop. Counts a block that ends with the work too. */
export async function watched<Result>(work: () => Promise<Result>): Promise<Watched<Result>> {
  let [blockedMs, blockedProcessorMs] = [0, 0];
  let [last, lastProcessor] = [performance.now(), processorTime()];
  const [startedAt, startedProcessor] = [last, lastProcessor];
  const tick = () => {
    const [now, processor] = [performance.now(), processorTime()];
    blockedMs = Math.max(blockedMs, now - last - tickMs);
    blockedProcessorMs = Math.max(blockedProcessorMs, processor - lastProcessor);
    [last, lastProcessor] = [now, processor];
  };
  const timer = setInterval(tick, tickMs);
  const result = await work();
  const ms = performance.now() - startedAt;
  const processorMs = processorTime() - startedProcessor;
  tick();
  clearInterval(timer);
  const rssMb = process.resourceUsage().maxRSS / 1024;
  return { result, ms, processorMs, blockedMs, blockedProcessorMs, rssMb };
}

/** In ms, of this thread alone: the collector's helpers are others. The kernel may count it by ticks of 4 ms. */
function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
