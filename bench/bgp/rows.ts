import type { ScenarioSpec, Work } from "./load/scenario.ts";

/** A row of the table, and what tortie must reach on 4 cores. */
export interface Row {
  readonly id: string;
  /** Rows of one scenario share a start of the target. */
  readonly scenario: ScenarioSpec;
  readonly work: Work;
  /** With "1,000,000" for the size of the full table. */
  readonly title: string;
  readonly unit: "ms" | "MB";
  /** tortie's value is at most `factor` times that of the best other daemon, or of BIRD. */
  readonly limit: { readonly factor: number; readonly of: "best" | "BIRD" };
  readonly start: string;
  readonly end: string;
}

const clients200 = { kind: "reflector", clients: 200, each: 20 } as const;
const clients500 = { kind: "reflector", clients: 500, each: 20 } as const;
const clients1000 = { kind: "reflector", clients: 1000, each: 4 } as const;
const receiver1 = { kind: "table", receivers: 1 } as const;
const receivers10 = { kind: "table", receivers: 10 } as const;

/** In the order of the document. */
export const rows: readonly Row[] = [
  {
    id: "reflect-200",
    scenario: clients200,
    work: "reflect",
    title: "reflector, 200 clients x 20 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start:
      "all sessions are Established and nothing has moved for 0.3 s; the first client writes its UPDATE, all others in the same turn",
    end: "the last client has exactly the prefixes of all other clients",
  },
  {
    id: "reflect-500",
    scenario: clients500,
    work: "reflect",
    title: "reflector, 500 clients x 20 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start: "as above",
    end: "as above",
  },
  {
    id: "reflect-1000",
    scenario: clients1000,
    work: "reflect",
    title: "reflector, 1000 clients x 4 /26",
    unit: "ms",
    limit: { factor: 0.5, of: "best" },
    start: "as above",
    end: "as above",
  },
  {
    id: "restart-500",
    scenario: clients500,
    work: "restart",
    title: "restart of all 500 sessions",
    unit: "ms",
    limit: { factor: 1, of: "best" },
    start:
      "all clients close TCP without a word in one turn, forget what they had, and connect at once; one that is refused tries again after 10 ms, one that hears nothing after 1 s, then 2 s, 4 s; each sends its 20 /26 when it is Established",
    end: "the last client has exactly the prefixes of all other clients",
  },
  {
    id: "full-1",
    scenario: receiver1,
    work: "fill",
    title: "1,000,000 prefixes to 1 receiver",
    unit: "ms",
    limit: { factor: 0.8, of: "best" },
    start:
      "both sessions are Established and nothing has moved for 0.3 s; the sender writes its first byte",
    end: "the receiver has exactly all prefixes",
  },
  {
    id: "full-10",
    scenario: receivers10,
    work: "fill",
    title: "1,000,000 prefixes to 10 receivers",
    unit: "ms",
    limit: { factor: 0.25, of: "best" },
    start: "as above",
    end: "the last receiver has exactly all prefixes",
  },
  {
    id: "resync-10",
    scenario: receivers10,
    work: "resync",
    title: "resync of 10 receivers, 1,000,000 prefixes",
    unit: "ms",
    limit: { factor: 0.1, of: "best" },
    start:
      "after the row above and 0.3 s of quiet, all ten receivers forget what they have and write a ROUTE-REFRESH in one turn",
    end: "the last receiver has exactly all prefixes again",
  },
  {
    id: "rss-full-1",
    scenario: receiver1,
    work: "rss",
    title: "RSS after 1,000,000 prefixes",
    unit: "MB",
    limit: { factor: 1.2, of: "BIRD" },
    start: "3 s after the row with 1 receiver has ended",
    end: "VmRSS of the daemon's processes, added, in 10^6 octets",
  },
  {
    id: "withdraw-500",
    scenario: clients500,
    work: "withdraw",
    title: "withdraw of one client of 500",
    unit: "ms",
    limit: { factor: 1.25, of: "BIRD" },
    start: "one client writes one UPDATE that withdraws its 20 /26",
    end: "no other client has one of them",
  },
  {
    id: "new-route-200",
    scenario: clients200,
    work: "newRoute",
    title: "one new route among 200 clients, p50 / p99",
    unit: "ms",
    limit: { factor: 1.25, of: "BIRD" },
    start:
      "one client writes an UPDATE with one new /26; another client each time, 200 times or for 10 s",
    end: "the last of the other clients has it; it is withdrawn before the next",
  },
];
