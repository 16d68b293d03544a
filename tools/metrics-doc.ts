import type { Metric } from "../src/lib/metrics.ts";

/** docs/metrics.md, from what the programs export. */
export function metricsDocument(
  metrics: Readonly<Record<"felix" | "bgp" | "controllers" | "process", readonly Metric[]>>,
): string {
  return `# Metrics

Every metric that tortie tells Prometheus. \`node tools/generate-metrics.ts\` writes this page from the code.
\`deploy/monitoring/\` has alert rules and a Grafana dashboard that ask for them.

## felix

On port 9091 of every node, where \`prometheusMetricsEnabled\` of FelixConfiguration is true (\`prometheusMetricsHost\`,
\`prometheusMetricsPort\`, TLS: [felix-config](felix-config.md)). The names are Calico's.

${table(metrics.felix)}
## bgp

Where \`TORTIE_BGP_METRICS\` of a node says so, as in \`127.0.0.1:9900\`, or \`metrics\` in a speaker's own file. Labels and what
differs from Calico Enterprise: [bgp-config](bgp-config.md#metrics).

${table(metrics.bgp)}
## controllers

On port 9094 of the controllers' pod (\`prometheusMetricsPort\` of KubeControllersConfiguration; 0: nowhere). With etcd or
the embedded datastore only where that field is given. Only the leader has all of them. Those of addresses have Calico's
names, and are as of the last look of garbage collection: every 5 minutes, and when there is work; while
\`leakGracePeriod\` is 0 or the datastore is locked they do not change.

${table(metrics.controllers)}
## Of each process

${table(metrics.process)}`;
}

function table(metrics: readonly Metric[]): string {
  const rows = [...new Map(metrics.map((metric) => [metric.name, metric])).values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |\n`);
  return `| metric | type | value |\n|---|---|---|\n${rows.join("")}`;
}
