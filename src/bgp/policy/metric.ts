/** Metric of a route without one (facts 5.2, ipv4NormalRoutePriority). */
export const normalRoutePriority = 1024;

/** LOCAL_PREF of a route with a kernel metric, and back (facts 5.17 step 1). */
export function localPrefOfMetric(metric: number): number {
  return 0x7fffffff - metric;
}
