import { clientAddressOf, type LoadClients } from "./load-clients.ts";
import type { RowValues, Scenario } from "./scenario.ts";
import { announceBlocks, blockSpace, type PrefixSpace, withdrawBlocks } from "./workload.ts";

/** Samples of the row "one new route", or as many as fit into the time. */
const newRouteSamples = 200;
const newRoutesMs = 10_000;
const betweenNewRoutesMs = 5;

interface Sizes {
  readonly each: number;
  /** Prefixes that a client has when it knows those of all others. */
  readonly others: number;
  readonly timeoutMs: number;
}

/** Each client tells `each` blocks of its own to a reflector, as nodes of a cluster do. */
export function reflector(clientCount: number, each: number): Scenario {
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
    run: async (clients, { measure, wants, timeoutMs }) => {
      const sizes = { each, others, timeoutMs };
      await measure("reflect", () => reflectAll(clients, own, sizes));
      if (wants("newRoute")) {
        await clients.quiet();
        await measure("newRoute", () => newRoutes(clients, space, timeoutMs));
      }
      if (wants("withdraw")) {
        await clients.quiet();
        await measure("withdraw", () => withdrawOne(clients, space, sizes));
        const back = clients.reach(() => others, timeoutMs);
        clients.sessions[0]?.send(own[0] as Uint8Array);
        await back;
      }
      if (wants("restart")) {
        await clients.quiet();
        await measure("restart", () => restartAll(clients, own, sizes));
      }
    },
  };
}

async function reflectAll(
  clients: LoadClients,
  own: readonly Uint8Array[],
  { others, timeoutMs }: Sizes,
): Promise<RowValues> {
  const start = performance.now();
  const end = clients.reach(() => others, timeoutMs);
  for (const [index, session] of clients.sessions.entries()) {
    session.send(own[index] as Uint8Array);
  }
  return { ms: (await end) - start };
}

/** One client after another announces one prefix; the time until the last of the others has it. */
async function newRoutes(
  clients: LoadClients,
  space: PrefixSpace,
  timeoutMs: number,
): Promise<RowValues> {
  const slot = space.count - 1;
  const base = clients.sessions.map(({ config }) => config.counter.count);
  const samples: number[] = [];
  const limit = performance.now() + newRoutesMs;
  for (let i = 0; i < newRouteSamples && performance.now() < limit; i++) {
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
    await new Promise((resolve) => setTimeout(resolve, betweenNewRoutesMs));
  }
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.ceil(samples.length * share) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function withdrawOne(
  clients: LoadClients,
  space: PrefixSpace,
  { each, others, timeoutMs }: Sizes,
): Promise<RowValues> {
  const start = performance.now();
  const end = clients.reach((index) => (index === 0 ? others : others - each), timeoutMs);
  clients.sessions[0]?.send(withdrawBlocks(space, 0, each));
  return { ms: (await end) - start };
}

async function restartAll(
  clients: LoadClients,
  own: readonly Uint8Array[],
  { others, timeoutMs }: Sizes,
): Promise<RowValues> {
  const start = performance.now();
  for (const session of clients.sessions) session.stop();
  const end = clients.reach(() => others, timeoutMs);
  for (const [index, session] of clients.sessions.entries()) {
    session.start(() => session.send(own[index] as Uint8Array));
  }
  return { ms: (await end) - start };
}
