import { writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import { Harness, peerName } from "./harness.ts";
import { clientLoad, clientWithdrawal, tableLoad } from "./load.ts";

/**
 * What the speaker itself costs, from the bytes of an UPDATE to the bytes for the peers, without
 * sockets: `node bench/rib/run.ts [ROW ...]`. "longest": the longest time of the processor in which
 * the event loop gets no turn. With RIB_PROFILE=FILE, a CPU profile of what `table-1` takes is written there.
 */
const prefixCount = 1_000_000;
const setCount = 170_000;

const rows: Readonly<Record<string, (name: string) => Promise<void>>> = {
  "reflect-200": (name) => reflect(name, 200, 20),
  "reflect-500": (name) => reflect(name, 500, 20),
  "reflect-1000": (name) => reflect(name, 1000, 4),
  "restart-500": restart,
  "withdraw-500": withdraw,
  "one-200": oneRoute,
  "table-1": (name) => fullTable(name, 1),
  "table-10": (name) => fullTable(name, 10),
};

/** All clients announce at once; the event loop reads so many sockets in a turn. */
const socketsPerTurn = 64;

async function reflect(name: string, clients: number, each: number): Promise<void> {
  const times: number[] = [];
  let last = "";
  for (let round = 0; round < 5; round++) {
    const harness = new Harness(clients);
    const loads = Array.from({ length: clients }, (_, client) => clientLoad(client, each));
    const started = performance.now();
    for (const [client, { bytes }] of loads.entries()) {
      harness.receiveOnly(peerName(client), bytes);
      if (client % socketsPerTurn === socketsPerTurn - 1) harness.flushOnce();
    }
    harness.drain();
    times.push(performance.now() - started);
    last = text(harness);
  }
  print(name, times, last);
}

/** Sessions of all clients go and come back, with what they announce. */
async function restart(name: string): Promise<void> {
  const [clients, each] = [500, 20];
  const harness = await filled(clients, each);
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    harness.reset();
    const started = performance.now();
    for (let client = 0; client < clients; client++) {
      harness.down(peerName(client));
      if (client % socketsPerTurn === socketsPerTurn - 1) harness.flushOnce();
    }
    harness.drain();
    for (let client = 0; client < clients; client++) {
      harness.up(peerName(client));
      harness.receiveOnly(peerName(client), clientLoad(client, each).bytes);
      if (client % socketsPerTurn === socketsPerTurn - 1) harness.flushOnce();
    }
    harness.drain();
    times.push(performance.now() - started);
  }
  print(name, times, text(harness));
}

async function withdraw(name: string): Promise<void> {
  const [clients, each] = [500, 20];
  const harness = await filled(clients, each);
  const times: number[] = [];
  for (let client = 0; client < 20; client++) {
    harness.reset();
    const started = performance.now();
    await harness.receive(peerName(client), clientWithdrawal(client, each));
    harness.drain();
    times.push(performance.now() - started);
  }
  print(name, times, text(harness));
}

async function oneRoute(name: string): Promise<void> {
  const clients = 200;
  const harness = await filled(clients, 20);
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    harness.reset();
    const { bytes } = clientLoad(100_000 + i, 1);
    const started = performance.now();
    harness.receiveOnly(peerName(i % clients), bytes);
    harness.drain();
    times.push(performance.now() - started);
  }
  print(name, times, text(harness));
}

async function fullTable(name: string, receivers: number): Promise<void> {
  const load = tableLoad(prefixCount, setCount);
  const harness = new Harness(receivers + 1);
  const sender = peerName(0);
  await settle();
  const before = memory();
  const endProfile = await profile();
  const cpu = process.threadCpuUsage();
  const started = performance.now();
  await harness.receive(sender, load);
  harness.drain();
  const spent = performance.now() - started;
  const { user, system } = process.threadCpuUsage(cpu);
  await endProfile();
  print(
    name,
    [spent],
    `${text(harness)}, main thread ${((user + system) / 1000).toFixed(0)} ms, RSS ${before} -> ${memory()} MB`,
  );
  const names = Array.from({ length: receivers }, (_, i) => peerName(i + 1));
  await timed(harness, `${name} refresh`, () => {
    for (const peer of names) harness.refresh(peer);
  });
  await timed(harness, `${name} come back`, () => {
    for (const peer of names) harness.down(peer);
    for (const peer of names) harness.up(peer);
  });
  await timed(harness, `${name} sender gone`, () => harness.down(sender));
  await settle();
  console.log(`${"".padEnd(22)} RSS at the end ${memory()} MB`);
}

/** Gives what ends the profile and writes it. */
async function profile(): Promise<() => Promise<void>> {
  const file = process.env["RIB_PROFILE"] ?? "";
  if (file === "") return () => Promise.resolve();
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  return async () => {
    const { profile: result } = await session.post("Profiler.stop");
    await writeFile(file, JSON.stringify(result));
  };
}

async function timed(harness: Harness, name: string, work: () => void): Promise<void> {
  harness.reset();
  const started = performance.now();
  work();
  harness.drain();
  print(name, [performance.now() - started], text(harness));
}

async function filled(clients: number, each: number): Promise<Harness> {
  const harness = new Harness(clients);
  for (let client = 0; client < clients; client++) {
    harness.receiveOnly(peerName(client), clientLoad(client, each).bytes);
  }
  harness.drain();
  return harness;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 20));
}

function memory(): number {
  return Math.round(process.memoryUsage().rss / 1e6);
}

function text(harness: Harness): string {
  const { megabytes, sends, longestMs } = harness.result;
  return `${megabytes.toFixed(1)} MB in ${sends} sends, longest ${longestMs.toFixed(1)} ms`;
}

function print(name: string, times: readonly number[], rest: string): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2);
  console.log(`${name.padEnd(22)} p50 ${at(0.5)} p99 ${at(0.99)} ms, ${rest}`);
}

const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : Object.keys(rows)) await rows[name]?.(name);
