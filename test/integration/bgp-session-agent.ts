import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { DynamicPeers, PeerConfig, PeerEvent, PeerStatus } from "../../src/bgp/peer/peer.ts";
import { createPeers } from "../../src/bgp/peer/peers-service.ts";
import type { Asn } from "../../src/lib/asn.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Secret } from "../../src/lib/secret.ts";
import { keptEvent } from "../support/kept-event.ts";
import { waitFor } from "../support/wait-for.ts";

/**
 * Sessions of ours in a process of their own, so that a test can have them in a network namespace. As
 * a program it reads a Command a line and prints an event or, after each command, a status a line.
 */
export type Command =
  | {
      readonly kind: "configure";
      readonly peers: readonly TestPeer[];
      readonly dynamic?: readonly TestDynamic[];
    }
  | { readonly kind: "reset"; readonly name: string; readonly subcode: number; message?: string }
  | { readonly kind: "status" };

/** A peer whose password can be written down. */
export type TestPeer = Omit<PeerConfig, "password"> & { readonly password?: string };
type TestDynamic = Omit<DynamicPeers, "template"> & {
  readonly template: Omit<DynamicPeers["template"], "password"> & { readonly password?: string };
};

type Line =
  | { readonly event: PeerEvent }
  | { readonly status: readonly PeerStatus[] }
  | { readonly listening: true };

/** A peer of AS 64512 at 10.99.0.2, seen from 10.99.0.1. */
export function testPeer(changes: Partial<TestPeer> = {}): TestPeer {
  return {
    name: "peer",
    address: "10.99.0.2" as IpAddr,
    port: 179,
    remoteAs: 64512 as Asn,
    localAs: 64512 as Asn,
    localRouterId: 0x0a630001,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 2,
    families: [4],
    gracefulRestartSeconds: 0,
    ...changes,
  };
}

/** A running agent. */
export interface SessionAgent {
  readonly events: PeerEvent[];
  readonly kinds: () => string[];
  readonly find: <Kind extends PeerEvent["kind"]>(
    kind: Kind,
  ) => Extract<PeerEvent, { kind: Kind }> | undefined;
  readonly tell: (command: Command) => void;
  /** Asked again now. */
  readonly status: () => Promise<readonly PeerStatus[]>;
  readonly stop: () => Promise<void>;
}

export async function startSessionAgent(
  t: TestContext,
  namespace: string,
  listen: readonly string[],
): Promise<SessionAgent> {
  const program = fileURLToPath(import.meta.url);
  const args = ["netns", "exec", namespace, process.execPath, program, JSON.stringify(listen)];
  const child = spawn("ip", args, { stdio: ["pipe", "pipe", "inherit"] });
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  t.after(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const events: PeerEvent[] = [];
  let answers: ((status: readonly PeerStatus[]) => void)[] = [];
  let isListening = false;
  createInterface(child.stdout).on("line", (text) => {
    const line = JSON.parse(text) as Line;
    if ("event" in line) events.push(line.event);
    else if ("status" in line) answers.shift()?.(line.status);
    else isListening = true;
  });
  child.once("exit", () => {
    answers = [];
  });
  const status = () =>
    new Promise<readonly PeerStatus[]>((resolve) => {
      answers.push(resolve);
      tell(child, { kind: "status" });
    });
  await waitFor(() => isListening, { what: "the agent" });
  return {
    events,
    kinds: () => events.map(({ kind }) => kind),
    find: (kind) => events.find((event) => event.kind === kind) as never,
    tell: (command) => tell(child, command),
    status,
    stop: () => {
      child.kill("SIGTERM");
      return exit;
    },
  };
}

function tell(child: ChildProcess, command: Command): void {
  child.stdin?.write(`${JSON.stringify(command)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(JSON.parse(process.argv[2] ?? "[]") as IpAddr[]);
}

async function main(listenAddresses: readonly IpAddr[]): Promise<void> {
  const abort = new AbortController();
  process.on("SIGTERM", () => abort.abort());
  const say = (line: Line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const peers = createPeers(
    { listenAddresses, listenPort: 179, closeQuietly: false },
    {
      clock: systemClock,
      log: createLogger({ name: "bgp", level: "silent" }),
      signal: abort.signal,
      onEvent: (event) => say({ event: keptEvent(event) }),
    },
  );
  await peers.listening;
  say({ listening: true });
  const lines = createInterface(process.stdin).on("line", (text) => {
    const command = JSON.parse(text) as Command;
    if (command.kind === "configure") {
      const dynamic = command.dynamic?.map((each) => ({
        ...each,
        template: withSecret(each.template),
      }));
      peers.configure(command.peers.map(withSecret), dynamic);
    } else if (command.kind === "reset") {
      peers.reset(command.name, command.subcode, command.message);
    } else say({ status: peers.status() });
  });
  await peers.ended;
  lines.close();
}

function withSecret<Peer extends { readonly password?: string }>(
  peer: Peer,
): Omit<Peer, "password"> & { readonly password?: Secret } {
  const { password, ...rest } = peer;
  return password === undefined ? rest : { ...rest, password: new Secret(password) };
}
