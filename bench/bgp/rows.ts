/** A row of the table, and what tortie must reach on 4 cores. */
export interface Row {
  readonly id: string;
  readonly scenario: "r200" | "r500" | "r1000" | "full1" | "full10";
  readonly title: string;
  readonly unit: "ms" | "MB";
  /** tortie's value is at most `factor` times that of the best other daemon, or of BIRD. */
  readonly limit: { readonly factor: number; readonly of: "best" | "BIRD" };
  readonly start: string;
  readonly end: string;
}

export const rows: readonly Row[] = [
  {
    id: "reflect-200",
    scenario: "r200",
    title: "reflector, 200 clients x 20 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start:
      "all sessions are Established and nothing has moved for 0.3 s; the first client writes its UPDATE, all others in the same turn",
    end: "the last client has exactly the prefixes of all other clients",
  },
  {
    id: "reflect-500",
    scenario: "r500",
    title: "reflector, 500 clients x 20 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start: "as above",
    end: "as above",
  },
  {
    id: "reflect-1000",
    scenario: "r1000",
    title: "reflector, 1000 clients x 4 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start: "as above",
    end: "as above",
  },
  {
    id: "restart-500",
    scenario: "r500",
    title: "restart of all 500 sessions",
    unit: "ms",
    limit: { factor: 1, of: "best" },
    start:
      "all clients close TCP without a word in one turn, forget what they had, and connect at once; one that is refused tries again after 10 ms; each sends its 20 /26 when it is Established",
    end: "the last client has exactly the prefixes of all other clients",
  },
  {
    id: "full-1",
    scenario: "full1",
    title: "1,000,000 prefixes to 1 receiver",
    unit: "ms",
    limit: { factor: 0.8, of: "best" },
    start:
      "both sessions are Established and nothing has moved for 0.3 s; the sender writes its first byte",
    end: "the receiver has exactly all prefixes",
  },
  {
    id: "full-10",
    scenario: "full10",
    title: "1,000,000 prefixes to 10 receivers",
    unit: "ms",
    limit: { factor: 0.25, of: "best" },
    start: "as above",
    end: "the last receiver has exactly all prefixes",
  },
  {
    id: "resync-10",
    scenario: "full10",
    title: "resync of 10 receivers, 1,000,000 prefixes",
    unit: "ms",
    limit: { factor: 0.1, of: "best" },
    start:
      "after the row above and 0.3 s of quiet, all ten receivers forget what they have and write a ROUTE-REFRESH in one turn",
    end: "the last receiver has exactly all prefixes again",
  },
  {
    id: "rss-full-1",
    scenario: "full1",
    title: "RSS after 1,000,000 prefixes",
    unit: "MB",
    limit: { factor: 1.2, of: "BIRD" },
    start: "3 s after the row with 1 receiver has ended",
    end: "VmRSS of the daemon's processes, added, in 10^6 octets",
  },
  {
    id: "withdraw-500",
    scenario: "r500",
    title: "withdraw of one client of 500",
    unit: "ms",
    limit: { factor: 1.25, of: "BIRD" },
    start: "one client writes one UPDATE that withdraws its 20 /26",
    end: "no other client has one of them",
  },
  {
    id: "new-route-200",
    scenario: "r200",
    title: "one new route among 200 clients, p50 / p99",
    unit: "ms",
    limit: { factor: 1.25, of: "BIRD" },
    start: "one client writes an UPDATE with one new /26; 200 times, another client each time",
    end: "the last of the other clients has it; it is withdrawn before the next",
  },
];
