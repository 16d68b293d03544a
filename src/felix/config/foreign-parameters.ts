import { ignored, type Parameter, type ParameterTable } from "./parameter.ts";
import { choice, duration, flag, matching, port, text } from "./types.ts";

/** Parameters of what tortie leaves out (facts 9.1), or has not yet. */

const noOpenstack = "OpenStack is left out (facts 9.1)";
const noXdp = "XDP is left out (facts 9.1)";
const noWindows = "Windows is left out (facts 9.1)";
const noFlowLogs = "flow logs are not built yet";
const noAws = "AWS source-destination checks are left out (facts 9.1)";
const onOff = choice("Disabled", "Enabled");

export const windowsParameters: ParameterTable = {
  windowsManageFirewallRules: ignored(onOff, "Disabled", noWindows),
};

export const openstackParameters: ParameterTable = {
  endpointReportingDelay: ignored(duration(), "1s", noOpenstack, {
    variable: "EndpointReportingDelaySecs",
  }),
  endpointReportingEnabled: ignored(flag, "false", noOpenstack),
  metadataAddr: ignored(
    matching(/^[a-zA-Z0-9_.-]+$/, "a host name or an address"),
    "127.0.0.1",
    noOpenstack,
  ),
  metadataPort: ignored(port, "8775", noOpenstack),
  openstackRegion: ignored(text, "", noOpenstack),
  reportingInterval: ignored(duration(), "30s", noOpenstack, { variable: "ReportingIntervalSecs" }),
  reportingTTL: ignored(duration(), "90s", noOpenstack, { variable: "ReportingTTLSecs" }),
};

export const xdpParameters: ParameterTable = {
  genericXDPEnabled: ignored(flag, "false", noXdp),
  xdpEnabled: ignored(flag, "true", noXdp),
  xdpRefreshInterval: ignored(duration(), "90s", noXdp),
};

export const flowLogParameters: ParameterTable = {
  flowLogsCollectorDebugTrace: ignored(flag, "false", noFlowLogs),
  flowLogsFlushInterval: ignored(duration(), "5m", noFlowLogs),
  flowLogsGoldmaneServer: ignored(text, "", noFlowLogs),
  flowLogsLocalReporter: ignored(onOff, "Disabled", noFlowLogs),
  flowLogsPolicyEvaluationMode: ignored(choice("Continuous", "None"), "Continuous", noFlowLogs),
};

export const awsParameters: ParameterTable = {
  awsSrcDstCheck: ignored(choice("DoNothing", "Enable", "Disable"), "DoNothing", noAws),
};

const bpfDefaults = `AttachType=Netkit CTLBLogFilter= ConnectTimeLoadBalancing=TCP
  ConnectTimeLoadBalancingEnabled=false ConntrackMode=Auto ConntrackLogLevel=off
  ConntrackTimeouts= DSROptoutCIDRs= DataIfacePattern= DisableGROForIfaces=
  DisableUnprivileged=true Enabled=false EnforceRPF=Loose ExcludeCIDRsFromNAT=
  ExportBufferSizeMB=1 ExtToServiceConnmark=0 ExternalServiceMode=Tunnel
  ForceTrackPacketsFromIfaces=docker+ HostConntrackBypass=false
  HostNetworkedNATWithoutCTLB=Enabled IPFragTimeout=0s IPFragmentReassemblyEnabled=true
  JITHardening=Auto KubeProxyHealthzPort=10256 KubeProxyIptablesCleanupEnabled=true
  KubeProxyMinSyncPeriod=1s L3IfacePattern= LogFilters= LogLevel=Off
  MaglevMaxEndpointsPerService=100 MaglevMaxServices=100 MapSizeConntrack=512000
  MapSizeConntrackCleanupQueue=100000 MapSizeConntrackScaling=DoubleIfFull
  MapSizeIPSets=1048576 MapSizeIfState=1000 MapSizeNATAffinity=65536 MapSizeNATBackend=262144
  MapSizeNATFrontend=65536 MapSizePerCpuConntrack=0 MapSizeRoute=262144
  OverlayHostSourceIP=TunnelAddress PSNATPorts=20000:29999 PolicyDebugEnabled=true
  Profiling=Disabled RedirectToPeer=Enabled`;

/** Kept whatever they are: no type is known of them. */
export const bpfParameters: Readonly<Record<string, Parameter<string>>> = Object.fromEntries(
  bpfDefaults.split(/\s+/).map((pair) => {
    const [name, fallback = ""] = pair.split("=");
    return [`bpf${name}`, ignored(text, fallback, "the eBPF dataplane is left out (facts 9.1)")];
  }),
);
