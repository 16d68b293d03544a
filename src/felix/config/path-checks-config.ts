import type { PathChecksConfig } from "../../api/path-checks.ts";
import {
  ip6ip6Device,
  ipipDevice,
  sitDevice,
  udpDevice,
  vxlanDevice,
  vxlanDeviceV6,
} from "../../kernel/ownership.ts";
import type { ParameterValues } from "./values.ts";

export function pathChecksConfig(values: ParameterValues): PathChecksConfig {
  return {
    enabled: values.pathChecks === "Enabled",
    port: values.pathCheckPort,
    intervalMs: values.pathCheckInterval,
    samplePeers: values.pathCheckPeers,
    tunnels: [
      { name: vxlanDevice },
      { name: vxlanDeviceV6 },
      { name: ipipDevice },
      { name: ip6ip6Device },
      { name: sitDevice },
      { name: udpDevice, port: values.udpPort },
      { name: values.wireguardInterfaceName, port: values.wireguardListeningPort },
      { name: values.wireguardInterfaceNameV6, port: values.wireguardListeningPortV6 },
    ],
  };
}
