/** What FelixConfiguration says of path checks (docs/check-paths.md). */
export interface PathsConfig {
  readonly enabled: boolean;
  /** UDP and TCP. */
  readonly port: number;
  /** 0: only when somebody asks. */
  readonly intervalMs: number;
  readonly samplePeers: number;
}
