import { featureOverrides, keyValues, timeoutsByName } from "./forms.ts";
import { acts, ignored, type ParameterTable, type TableOf } from "./parameter.ts";
import {
  choice,
  duration,
  flag,
  integer,
  list,
  matching,
  maybe,
  port,
  regularExpression,
  text,
} from "./types.ts";

import type { FeatureValues, HealthValues, LoggingValues, MetricsValues } from "./values.ts";

/** Facts appendix A, "Datastore connection" and "Process". */

const local = { local: true } as const;
const openDatastore =
  "the datastore is opened by the variables that calicoctl has, such as ETCD_ENDPOINTS";
const noTypha = "there is no typha yet";
const noGo = "Node.js is no Go";

const inLog = "unit/wiring/felix-log";
const severity = choice("Trace", "Debug", "Info", "Warning", "Error", "Fatal", "None");
const host = matching(/^[a-zA-Z0-9:._+-]{1,64}$/, "a host name or an address");
const authority = matching(/^[^:/]+:\d+$/, "HOST:PORT");
const hostName = matching(/^[a-zA-Z0-9_.-]+$/, "a host name");
const anyInteger = integer(-1, Number.MAX_SAFE_INTEGER);

export const datastoreParameters: ParameterTable = {
  DatastoreType: ignored(choice("etcdv3", "kubernetes"), "etcdv3", openDatastore, local),
  EtcdAddr: ignored(authority, "127.0.0.1:2379", openDatastore, local),
  EtcdCaFile: ignored(text, "", openDatastore, local),
  EtcdCertFile: ignored(text, "", openDatastore, local),
  EtcdEndpoints: ignored(list("URLs", String), "", openDatastore, local),
  EtcdKeyFile: ignored(text, "", openDatastore, local),
  EtcdScheme: ignored(choice("http", "https"), "http", openDatastore, local),
  FelixHostname: ignored(hostName, "", "NODENAME names the node", local),
  TyphaAddr: ignored(authority, "", noTypha, local),
  TyphaCAFile: ignored(text, "", noTypha, local),
  TyphaCN: ignored(text, "", noTypha, local),
  TyphaCertFile: ignored(text, "", noTypha, local),
  TyphaK8sNamespace: ignored(text, "kube-system", noTypha, local),
  TyphaK8sServiceName: ignored(text, "", noTypha, local),
  TyphaKeyFile: ignored(text, "", noTypha, local),
  TyphaReadTimeout: ignored(duration(), "30s", noTypha, local),
  TyphaURISAN: ignored(text, "", noTypha, local),
  TyphaWriteTimeout: ignored(duration(), "10s", noTypha, local),
};

export const featureParameters: TableOf<FeatureValues> = {
  featureDetectOverride: acts(featureOverrides, "", "unit/felix/config/feature-overrides", {
    note: "SNATFullyRandom, MASQFullyRandom, RestoreSupportsLock and ChecksumOffloadBroken; other features have no meaning here",
  }),
  featureGates: ignored(keyValues, "", "nothing is gated"),
};

export const runtimeParameters: ParameterTable = {
  goGCThreshold: ignored(anyInteger, "40", noGo),
  goMaxProcs: ignored(anyInteger, "-1", noGo),
  goMemoryLimitMB: ignored(anyInteger, "-1", noGo),
};

export const healthParameters: TableOf<HealthValues> = {
  healthEnabled: acts(flag, "false", "unit/node/health"),
  healthHost: acts(host, "localhost", "unit/node/health"),
  healthPort: acts(port, "9099", "unit/node/health"),
  healthTimeoutOverrides: acts(timeoutsByName, "", "unit/felix/health/felix-health"),
};

const inConfig = "unit/felix/config/rules-parameters";
const ours = { note: "ours, docs/policy.md" } as const;
const packetRate = matching(
  /^([1-9]\d{0,3}\/(second|minute|hour|day))?$/,
  "a rate such as 10/minute",
);

export const loggingParameters: TableOf<LoggingValues> = {
  logActionRateLimit: acts(packetRate, "", inConfig),
  logActionRateLimitBurst: acts(integer(0, 9999), "5", inConfig),
  policyDenialLogs: acts(choice("Disabled", "Enabled"), "Disabled", inConfig, ours),
  policyDenialLogRateLimit: acts(packetRate, "100/second", inConfig, ours),
  policyDenialLogRateLimitBurst: acts(integer(0, 9999), "100", inConfig, ours),
  logDebugFilenameRegex: acts(maybe(regularExpression), "", inLog, {
    note: "names of our source files, such as dataplane.ts",
  }),
  logFilePath: acts(text, "none", inLog, {
    note: "Calico's default is /var/log/calico/felix.log, and none in its image",
  }),
  logPrefix: acts(text, "calico-packet", "unit/felix/config/rules-parameters"),
  logSeverityFile: acts(severity, "Info", inLog),
  logSeverityScreen: acts(severity, "Info", inLog),
  logSeveritySys: acts(severity, "None", inLog, {
    note: "to /dev/log; Calico's default is Info, and none in its image",
  }),
};

const inMetrics = "unit/felix/metrics/serve-felix-metrics";

export const metricsParameters: TableOf<MetricsValues> = {
  prometheusGoMetricsEnabled: acts(flag, "true", inMetrics, { note: "metrics of Node.js here" }),
  prometheusMetricsCAFile: acts(text, "", inMetrics),
  prometheusMetricsCertFile: acts(text, "", inMetrics),
  prometheusMetricsClientAuth: acts(
    choice(
      "NoClientCert",
      "RequireAnyClientCert",
      "VerifyClientCertIfGiven",
      "RequireAndVerifyClientCert",
    ),
    "NoClientCert",
    inMetrics,
  ),
  prometheusMetricsEnabled: acts(flag, "false", inMetrics),
  prometheusMetricsHost: acts(host, "", inMetrics, { note: "all addresses unless given" }),
  prometheusMetricsKeyFile: acts(text, "", inMetrics),
  prometheusMetricsPort: acts(port, "9091", inMetrics),
  prometheusProcessMetricsEnabled: acts(flag, "true", inMetrics),
  prometheusWireGuardMetricsEnabled: acts(flag, "true", "unit/felix/metrics/wireguard-metrics"),
};

const noReport = "nothing is reported to anybody";

export const usageParameters: ParameterTable = {
  usageReportingEnabled: ignored(flag, "false", noReport, { note: "Calico's default is true" }),
  usageReportingInitialDelay: ignored(duration(), "5m", noReport, {
    variable: "UsageReportingInitialDelaySecs",
  }),
  usageReportingInterval: ignored(duration(), "24h", noReport, {
    variable: "UsageReportingIntervalSecs",
  }),
};

const noDebug = "for the debugging of Calico's own process";

export const debugParameters: ParameterTable = {
  debugHost: ignored(host, "localhost", noDebug),
  debugPort: ignored(port, "0", noDebug),
  debugDisableLogDropping: ignored(flag, "false", noDebug),
  debugMemoryProfilePath: ignored(text, "", noDebug),
  debugCPUProfilePath: ignored(text, "", noDebug),
  debugSimulateCalcGraphHangAfter: ignored(duration(), "0", noDebug),
  debugSimulateDataplaneHangAfter: ignored(duration(), "0", noDebug),
  debugSimulateDataplaneApplyDelay: ignored(duration(), "0", noDebug),
  debugSimulateDataRace: ignored(flag, "false", noDebug),
  debugPanicAfter: ignored(duration(), "0", noDebug),
};
