const jobs: (() => void)[] = [];

/**
 * Runs a job right after the event loop has polled its sockets, one job a round, first come first
 * served: slices of several kinds of work (see TimeSlice) do not add up between two looks at the timers.
 */
export function inOwnRound(job: () => void): void {
  if (jobs.push(job) === 1) setImmediate(next);
}

function next(): void {
  const job = jobs[0];
  // One that is asked for meanwhile finds the row running.
  if (jobs.length > 1) setImmediate(next);
  jobs.shift();
  job?.();
}
