/** A part of the process: starts when called, settles when `signal` aborts and it has cleaned up. */
export type Service = (signal: AbortSignal) => Promise<void>;

/** Runs all services. The first failure, or a signal from outside, stops all; then all are awaited. */
export async function runServices(services: readonly Service[], outer: AbortSignal): Promise<void> {
  const group = new AbortController();
  const signal = AbortSignal.any([outer, group.signal]);
  const settled = await Promise.allSettled(
    services.map(async (service) => {
      try {
        await service(signal);
      } catch (error) {
        if (signal.aborted && error === signal.reason) return;
        group.abort(error);
        throw error;
      }
    }),
  );
  const failure = settled.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) throw failure.reason;
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
