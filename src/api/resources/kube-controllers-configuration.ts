import type { Resource } from "../meta.ts";

type OnOff = "Enabled" | "Disabled";

export interface ReconciledController {
  /** "5m" when absent. */
  readonly reconcilerPeriod?: string;
}

export interface HostEndpointTemplate {
  readonly generateName: string;
  readonly interfaceCIDRs?: readonly string[];
  readonly interfacePattern?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly nodeSelector?: string;
}

/** Facts 2.8. */
export interface KubeControllersConfigurationSpec {
  readonly logSeverityScreen?: string;
  readonly healthChecks?: OnOff;
  readonly etcdV3CompactionPeriod?: string;
  readonly prometheusMetricsPort?: number;
  readonly debugProfilePort?: number;
  readonly controllers?: {
    readonly node?: ReconciledController & {
      readonly syncLabels?: OnOff;
      /** "15m" when absent; "0" switches garbage collection off. */
      readonly leakGracePeriod?: string;
      readonly hostEndpoint?: {
        readonly autoCreate?: OnOff;
        readonly createDefaultHostEndpoint?: OnOff;
        readonly templates?: readonly HostEndpointTemplate[];
      };
    };
    readonly policy?: ReconciledController;
    readonly workloadEndpoint?: ReconciledController;
    readonly serviceAccount?: ReconciledController;
    readonly namespace?: ReconciledController;
    readonly loadBalancer?: { readonly assignIPs?: "AllServices" | "RequestedServicesOnly" };
    readonly migration?: { readonly policyNameMigrator?: OnOff };
  };
}

export interface KubeControllersConfigurationStatus {
  readonly runningConfig?: KubeControllersConfigurationSpec;
  readonly environmentVars?: Readonly<Record<string, string>>;
}

/** The only one is named "default". */
export type KubeControllersConfiguration = Resource<
  "KubeControllersConfiguration",
  KubeControllersConfigurationSpec,
  KubeControllersConfigurationStatus
>;
