import type { LoadClients } from "./load-clients.ts";
import { clientAddressOf } from "./load-clients.ts";
import { refreshRequest } from "./messages.ts";
import type { OwnSlots } from "./prefix-counter.ts";
import {
  announceBlocks,
  blockSpace,
  fullTable,
  type PrefixSpace,
  tableSpace,
  withdrawBlocks,
} from "./workload.ts";

/** What one row measured: a time in ms, several for percentiles, or megabytes. */
export type RowReport = (row: string, values: Readonly<Record<string, number>>) => void;

/** Runs `work` as a row: what happens around it (loop report, silence, load of this process) is measured. */
export type MeasureRow = (
  row: string,
  work: () => Promise<Readonly<Record<string, number>>>,
) => Promise<void>;

export interface Scenario {
  readonly clients: number;
  readonly space: PrefixSpace;
  readonly ownSlots: (client: number) => OwnSlots;
  readonly rows: readonly string[];
  run(clients: LoadClients, tools: ScenarioTools): Promise<void>;
}

export interface ScenarioTools {
  readonly measure: MeasureRow;
  readonly wants: (row: string) => boolean;
  readonly timeoutMs: number;
  /** Resident memory of the target, in MB. */
  readonly targetRss: () => number;
}

/** Samples of the row "one new route": medians and tails of fewer say little. */
const newRouteSamples = 200;
const rssSettleMs = 3000;

/**
 * One start of a target each. A row's name is what `--rows` takes; its start and end are defined in
 * docs/bench/bgp.md.
 */
export function scenarioOf(name: string, tablePrefixes: number): Scenario | undefined {
  const scenarios: Readonly<Record<string, Scenario>> = {
    r200: reflector(200, 20, ["reflect-200", "new-route-200"]),
    r500: reflector(500, 20, ["reflect-500", "withdraw-500", "restart-500"]),
    r1000: reflector(1000, 4, ["reflect-1000"]),
    full1: table(1, tablePrefixes, ["full-1", "rss-full-1"]),
    full10: table(10, tablePrefixes, ["full-10", "resync-10"]),
  };
  return scenarios[name];
}

export const scenarioNames = ["r200", "r500", "r1000", "full1", "full10"] as const;

function reflector(clientCount: number, each: number, rows: readonly string[]): Scenario {
  // The last slot is the new route of the row "one new route".
  const space = blockSpace(clientCount * each + 1);
  const others = (clientCount - 1) * each;
  const own = Array.from({ length: clientCount }, (_, index) =>
    announceBlocks(space, { from: index * each, count: each, nextHop: clientAddressOf(index) }),
  );
  return {
    clients: clientCount,
    space,
    ownSlots: (client) => ({ from: client * each, count: each }),
    rows,
    run: async (clients, { measure, wants, timeoutMs }) => {
      const { sessions } = clients;
      const [reflect = "", ...more] = rows;
      await measure(reflect, async () => {
        const start = performance.now();
        const end = clients.reach(() => others, timeoutMs);
        for (const [index, session] of sessions.entries()) session.send(own[index] as Uint8Array);
        return { ms: (await end) - start };
      });
      for (const row of more) {
        if (!wants(row)) continue;
        await clients.quiet();
        if (row.startsWith("new-route")) {
          await measure(row, () => newRoutes(clients, space, timeoutMs));
        } else if (row.startsWith("withdraw")) {
          await measure(row, () => withdrawOne(clients, space, { each, others, timeoutMs }));
          sessions[0]?.send(own[0] as Uint8Array);
          await clients.reach(() => others, timeoutMs);
        } else {
          await measure(row, () => restartAll(clients, own, { others, timeoutMs }));
        }
      }
    },
  };
}

/** One client after another announces one prefix; the time until the last of the others has it. */
async function newRoutes(
  clients: LoadClients,
  space: PrefixSpace,
  timeoutMs: number,
): Promise<{ p50: number; p99: number }> {
  const slot = space.count - 1;
  const base = clients.sessions.map(({ config }) => config.counter.count);
  const samples: number[] = [];
  for (let i = 0; i < newRouteSamples; i++) {
    const from = (i * 7) % clients.sessions.length;
    const nextHop = clientAddressOf(from);
    const bytes = announceBlocks(space, { from: slot, count: 1, nextHop });
    const start = performance.now();
    const told = clients.reach(
      (index) => (index === from ? undefined : (base[index] ?? 0) + 1),
      timeoutMs,
    );
    clients.sessions[from]?.send(bytes);
    samples.push((await told) - start);
    const gone = clients.reach((index) => base[index], timeoutMs);
    clients.sessions[from]?.send(withdrawBlocks(space, slot, 1));
    await gone;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.ceil(samples.length * share) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

interface ReflectorSizes {
  readonly each: number;
  readonly others: number;
  readonly timeoutMs: number;
}

async function withdrawOne(
  clients: LoadClients,
  space: PrefixSpace,
  { each, others, timeoutMs }: ReflectorSizes,
): Promise<{ ms: number }> {
  const start = performance.now();
  const end = clients.reach((index) => (index === 0 ? others : others - each), timeoutMs);
  clients.sessions[0]?.send(withdrawBlocks(space, 0, each));
  return { ms: (await end) - start };
}

async function restartAll(
  clients: LoadClients,
  own: readonly Uint8Array[],
  { others, timeoutMs }: Omit<ReflectorSizes, "each">,
): Promise<{ ms: number }> {
  const start = performance.now();
  for (const session of clients.sessions) session.stop();
  const end = clients.reach(() => others, timeoutMs);
  for (const [index, session] of clients.sessions.entries()) {
    session.start(() => session.send(own[index] as Uint8Array));
  }
  return { ms: (await end) - start };
}

function table(receivers: number, prefixes: number, rows: readonly string[]): Scenario {
  const space = tableSpace(prefixes);
  const everything = (index: number) => (index === 0 ? undefined : prefixes);
  return {
    clients: receivers + 1,
    space,
    ownSlots: () => ({ from: 0, count: 0 }),
    rows,
    run: async (clients, { measure, wants, timeoutMs, targetRss }) => {
      const { bytes } = fullTable(space, clientAddressOf(0));
      const [load = "", more = ""] = rows;
      await measure(load, async () => {
        const start = performance.now();
        const end = clients.reach(everything, timeoutMs);
        clients.sessions[0]?.send(bytes);
        return { ms: (await end) - start };
      });
      if (!wants(more)) return;
      await clients.quiet();
      if (more.startsWith("rss")) {
        await new Promise((resolve) => setTimeout(resolve, rssSettleMs));
        await measure(more, async () => ({ mb: targetRss() }));
      } else {
        await measure(more, async () => {
          const asking = clients.sessions.slice(1);
          const start = performance.now();
          for (const { config } of asking) config.counter.clear();
          const end = clients.reach(everything, timeoutMs);
          for (const session of asking) session.send(refreshRequest);
          return { ms: (await end) - start };
        });
      }
    },
  };
}
