import type { Resource } from "../meta.ts";

export type NodeStatusClass = "Agent" | "BGP" | "Routes";

/** Facts 2.8. */
export interface CalicoNodeStatusSpec {
  readonly node: string;
  readonly classes: readonly NodeStatusClass[];
  /** 0: never. */
  readonly updatePeriodSeconds: number;
}

export interface BGPDaemonStatus {
  readonly state: "Ready" | "NotReady";
  readonly version: string;
  readonly routerID: string;
  readonly lastBootTime: string;
  readonly lastReconfigurationTime: string;
}

export interface CalicoNodePeer {
  readonly peerIP: string;
  readonly type: "NodeMesh" | "NodePeer" | "GlobalPeer";
  readonly state: string;
  readonly since: string;
}

export interface CalicoNodeRoute {
  /** FIB: used for forwarding. */
  readonly type: "FIB" | "RIB";
  readonly destination: string;
  readonly gateway?: string;
  readonly interface?: string;
  readonly learnedFrom: {
    readonly sourceType: "Kernel" | "Static" | "Direct" | "NodeMesh" | "BGPPeer";
    readonly peerIP?: string;
  };
}

/** Facts 5.14. Of the classes that the spec does not ask for, nothing is given. */
export interface CalicoNodeStatusStatus {
  /** RFC 3339, in UTC. */
  readonly lastUpdated?: string;
  readonly agent?: { readonly birdV4?: BGPDaemonStatus; readonly birdV6?: BGPDaemonStatus };
  readonly bgp?: {
    readonly numberEstablishedV4: number;
    readonly numberNotEstablishedV4: number;
    readonly numberEstablishedV6: number;
    readonly numberNotEstablishedV6: number;
    readonly peersV4?: readonly CalicoNodePeer[];
    readonly peersV6?: readonly CalicoNodePeer[];
  };
  readonly routes?: {
    readonly routesV4?: readonly CalicoNodeRoute[];
    readonly routesV6?: readonly CalicoNodeRoute[];
  };
}
export type CalicoNodeStatus = Resource<
  "CalicoNodeStatus",
  CalicoNodeStatusSpec,
  CalicoNodeStatusStatus
>;
