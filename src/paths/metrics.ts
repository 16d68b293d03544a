import type { Metric, MetricSample } from "../lib/metrics.ts";
import type { Carrier } from "./path.ts";
import type { PathReport } from "./run-check.ts";

/** What path checks tell Prometheus of the last run by itself; nothing before the first. */
export function pathMetrics(last: PathReport | undefined): readonly Metric[] {
  if (last === undefined) return [];
  const { peers, findings, skipped, seconds } = last;
  const carriers = new Set<Carrier>(
    peers.flatMap(({ paths }) => paths.map(({ path }) => path.carrier)),
  );
  // Of a node that does not answer the finding is of the whole node.
  const silent = new Set(
    peers.flatMap(({ paths }) =>
      paths.flatMap(({ path, answered }) => (answered === 0 ? path.carrier : [])),
    ),
  );
  const isSound = (path: Carrier) =>
    !silent.has(path) && !findings.some((one) => one.severity === "problem" && one.path === path);
  const healthy = [...carriers].map((path) => ({
    labels: { path },
    value: isSound(path) ? 1 : 0,
  }));
  const counts = new Map<string, { readonly labels: Record<string, string>; value: number }>();
  for (const { code, path = "node" } of findings) {
    const sample = counts.get(`${path} ${code}`) ?? { labels: { path, code }, value: 0 };
    sample.value++;
    counts.set(`${path} ${code}`, sample);
  }
  const answered = peers.filter(({ asked }) => asked === "answered").length;
  const ofPeers = [
    { labels: { result: "answered" }, value: answered },
    { labels: { result: "silent" }, value: peers.length - answered },
    { labels: { result: "skipped" }, value: skipped.length },
  ];
  return [
    gauge(
      "felix_path_healthy",
      "Paths of this kind answer, and have no problem: 1, or 0.",
      healthy,
    ),
    gauge("felix_path_findings", "What the last path check found.", [...counts.values()]),
    gauge("felix_path_peers", "Nodes of the last path check.", ofPeers),
    gauge("felix_path_check_time_seconds", "Time that the last path check took.", [
      { value: seconds },
    ]),
  ];
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, help, type: "gauge", samples };
}
