/** Well-known communities, of the IANA registry. */
export const wellKnown = {
  /** RFC 8326. */
  gracefulShutdown: 0xffff0000,
  /** RFC 9494: the route outlives its session, and must not. */
  llgrStale: 0xffff0006,
  noLlgr: 0xffff0007,
  /** RFC 1997. */
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
} as const;
