/** What path checks keep in a Node (docs/check-paths.md). */

/** Annotation: the public key of the node's path checks, base64url. Absent: it takes no part. */
export const pathKeyAnnotation = "tortie.dev/path-check-key";

/** Type of the condition that tells whether packets get from this node to its peers. */
export const pathHealthyType = "CalicoPathHealthy";

/** What FelixConfiguration says of path checks. */
export interface PathChecksConfig {
  readonly enabled: boolean;
  /** UDP and TCP. */
  readonly port: number;
  /** 0: only when somebody asks. */
  readonly intervalMs: number;
  readonly samplePeers: number;
  /** Devices of tunnels that there may be, with the port where the kernel's link does not tell it. */
  readonly tunnels: readonly { readonly name: string; readonly port?: number }[];
}
