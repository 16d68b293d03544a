/** Milliseconds of processor time since `start`: what else the machine does hardly counts. */
export function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
