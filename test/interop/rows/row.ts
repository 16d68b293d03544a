import type { Lab } from "../lab.ts";

/** The rows of docs/interop.md, in its order. */
export const rowTitles = {
  active: "we connect",
  passive: "the daemon connects",
  "families-v4": "both families over IPv4",
  "families-v6": "both families over IPv6",
  "extended-next-hop": "IPv4 routes with IPv6 next hops (RFC 8950)",
  ebgp: "eBGP with 4-octet AS numbers",
  "client-of-us": "iBGP, the daemon is our route reflector client",
  "client-of-them": "iBGP, we are its route reflector client",
  "md5-active": "TCP-MD5, we connect",
  "md5-passive": "TCP-MD5, the daemon connects",
  "md5-v6": "TCP-MD5 and GTSM over IPv6",
  "md5-dynamic": "TCP-MD5, the daemon is one of a prefix of neighbors",
  "md5-wrong": "a wrong TCP-MD5 key, then the right one",
  gtsm: "GTSM (RFC 5082)",
  "gtsm-wrong": "GTSM against a neighbor without it",
  "we-restart": "graceful restart, we restart: no packet is lost",
  "they-restart": "graceful restart, the daemon restarts: no packet is lost",
  "refresh-by-us": "route refresh, we ask",
  "refresh-by-them": "route refresh, the daemon asks",
  communities: "communities and large communities",
  "add-path-receive": "ADD-PATH, the daemon sends",
  "add-path-send": "ADD-PATH, we send",
  "max-prefix-ours": "max-prefix, we end the session",
  "max-prefix-theirs": "max-prefix, the daemon ends the session",
  withdraw: "withdrawal, both ways",
  flap: "session reset by either side",
  bfd: "BFD, the daemon hangs",
} as const;

export type RowId = keyof typeof rowTitles;

/** What a row of the matrix does, with whichever daemon. Passes, or throws. */
export type Row = (lab: Lab) => Promise<void>;
