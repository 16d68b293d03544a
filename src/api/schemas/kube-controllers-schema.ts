import { cidr, duration, labels, logSeverity, selector } from "./fields.ts";
import { array, type Check, integer, map, object, oneOf, text } from "./schema.ts";

const onOff: Check = oneOf("Enabled", "Disabled");
const port: Check = integer(0, 65535);
const reconciled: Check = object({ reconcilerPeriod: duration });

const template: Check = object(
  {
    generateName: text(),
    interfaceCIDRs: array(cidr),
    interfacePattern: text((value) => new RegExp(value)),
    labels,
    annotations: map(text()),
    nodeSelector: selector(),
  },
  { required: ["generateName"] },
);

/** KubeControllersConfiguration.spec (facts 2.8). */
export const kubeControllersConfigurationSpec: Check = object({
  logSeverityScreen: logSeverity,
  healthChecks: onOff,
  etcdV3CompactionPeriod: duration,
  prometheusMetricsPort: port,
  debugProfilePort: port,
  controllers: object({
    node: object({
      reconcilerPeriod: duration,
      syncLabels: onOff,
      leakGracePeriod: duration,
      hostEndpoint: object({
        autoCreate: onOff,
        createDefaultHostEndpoint: onOff,
        templates: array(template),
      }),
    }),
    policy: reconciled,
    workloadEndpoint: reconciled,
    serviceAccount: reconciled,
    namespace: reconciled,
    loadBalancer: object({ assignIPs: oneOf("AllServices", "RequestedServicesOnly") }),
    migration: object({ policyNameMigrator: onOff }),
  }),
});
