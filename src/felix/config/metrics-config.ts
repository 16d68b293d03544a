import type { MetricsTls } from "../../lib/metrics.ts";
import type { ParameterValues } from "./values.ts";

/** Felix's answers to Prometheus (facts appendix A). */
export interface MetricsConfig {
  readonly enabled: boolean;
  /** "": all addresses of the host. */
  readonly address: string;
  readonly port: number;
  /** What the runtime tells of itself, and what of the process. */
  readonly runtime: boolean;
  readonly process: boolean;
  /** Devices of WireGuard that are told of. */
  readonly wireguardDevices: readonly string[];
  readonly tls:
    | {
        readonly certificateFile: string;
        readonly keyFile: string;
        readonly authorityFile: string;
        readonly client: MetricsTls["client"];
      }
    | undefined;
}

const clients = {
  NoClientCert: "none",
  RequireAnyClientCert: "any",
  VerifyClientCertIfGiven: "verified if given",
  RequireAndVerifyClientCert: "verified",
} as const;

/** One file of TLS alone is enough to ask for TLS: without the other nothing is told. */
export function metricsConfig(values: ParameterValues): MetricsConfig {
  const certificateFile = values.prometheusMetricsCertFile;
  const keyFile = values.prometheusMetricsKeyFile;
  const authorityFile = values.prometheusMetricsCAFile;
  const client = clients[values.prometheusMetricsClientAuth];
  return {
    enabled: values.prometheusMetricsEnabled,
    address: values.prometheusMetricsHost,
    port: values.prometheusMetricsPort,
    runtime: values.prometheusGoMetricsEnabled,
    process: values.prometheusProcessMetricsEnabled,
    wireguardDevices: values.prometheusWireGuardMetricsEnabled ? enabledDevices(values) : [],
    tls:
      certificateFile === "" && keyFile === "" && authorityFile === ""
        ? undefined
        : { certificateFile, keyFile, authorityFile, client },
  };
}

function enabledDevices(values: ParameterValues): readonly string[] {
  return [
    ...(values.wireguardEnabled ? [values.wireguardInterfaceName] : []),
    ...(values.wireguardEnabledV6 ? [values.wireguardInterfaceNameV6] : []),
  ];
}
