import type { Metric } from "../src/lib/metrics.ts";

/** docs/metrics.md, from what the programs export. */
export function metricsDocument(
  metrics: Readonly<Record<"felix" | "bgp" | "process", readonly Metric[]>>,
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
## Of each process

${table(metrics.process)}`;
}

function table(metrics: readonly Metric[]): string {
  const rows = [...new Map(metrics.map((metric) => [metric.name, metric])).values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |\n`);
  return `| metric | type | value |\n|---|---|---|\n${rows.join("")}`;
}
