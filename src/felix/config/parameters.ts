import {
  commonParameters,
  iptablesParameters,
  nftablesParameters,
} from "./dataplane-parameters.ts";
import {
  awsParameters,
  bpfParameters,
  flowLogParameters,
  openstackParameters,
  windowsParameters,
  xdpParameters,
} from "./foreign-parameters.ts";
import {
  ipipParameters,
  ownTunnelParameters,
  vxlanParameters,
  wireguardParameters,
} from "./overlay-parameters.ts";
import type { ParameterTable } from "./parameter.ts";
import { pathCheckParameters } from "./path-check-parameters.ts";
import {
  datastoreParameters,
  debugParameters,
  featureParameters,
  healthParameters,
  loggingParameters,
  metricsParameters,
  runtimeParameters,
  usageParameters,
} from "./process-parameters.ts";

/** Every parameter, in the order of facts appendix A. */
export const sections: Readonly<Record<string, ParameterTable>> = {
  "Datastore connection": datastoreParameters,
  "Process: feature detection": featureParameters,
  "Process: Go runtime": runtimeParameters,
  "Process: health": healthParameters,
  "Process: logging": loggingParameters,
  "Process: Prometheus metrics": metricsParameters,
  "Dataplane: common": commonParameters,
  "Dataplane: iptables": iptablesParameters,
  "Dataplane: nftables": nftablesParameters,
  "Dataplane: Windows": windowsParameters,
  "Dataplane: OpenStack": openstackParameters,
  "Dataplane: XDP": xdpParameters,
  "Overlay: VXLAN": vxlanParameters,
  "Overlay: IP-in-IP": ipipParameters,
  "Overlay: tunnels of our own": ownTunnelParameters,
  "Overlay: WireGuard": wireguardParameters,
  "Path checks": pathCheckParameters,
  "Flow logs": flowLogParameters,
  AWS: awsParameters,
  "Usage reporting": usageParameters,
  Debugging: debugParameters,
  eBPF: bpfParameters,
};

export const allParameters: ParameterTable = Object.assign({}, ...Object.values(sections));
