import { randomBytes } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { aborted, type Service } from "../lib/service.ts";
import { askLength, decodeDatagram, encodeDatagram, isAuthentic } from "./datagram.ts";
import type { Path } from "./path.ts";
import type { PeerBook } from "./peers.ts";
import type { Conversation } from "./probe-channel.ts";
import type { Responder } from "./responder.ts";
import { remoteAddress } from "./udp-endpoint.ts";

/**
 * A transfer over TCP: the receiver sends a challenge, the sender a datagram of the kind "stream" that
 * has it as body, then octets until it ends its side; the receiver says it has them by an octet.
 */

const challengeLength = 16;
const maxTransfers = 4;
/** What one transfer may send and take. */
const maxOctets = 16 << 20;
const maxMs = 2000;
const sentOctets = 8 << 20;
const sendingMs = 500;
const chunk = Buffer.alloc(64 << 10);

export interface TransferServerDeps {
  readonly address: IpAddr;
  readonly port: number;
  readonly peers: PeerBook;
  readonly responder: Responder;
  readonly clock: Clock;
}

/** Takes transfers at one own address, as soon as that is there. */
export function serveTransfers(deps: TransferServerDeps): Service {
  return async (signal) => {
    const pauses = new Backoff({ minMs: 250, maxMs: 8000 });
    while (!signal.aborted) {
      const server = createServer({ allowHalfOpen: true }, (socket) => receive(socket, deps));
      server.maxConnections = maxTransfers;
      if (await listens(server, deps)) {
        await aborted(signal);
        await new Promise((resolve) => server.close(resolve));
        return;
      }
      await deps.clock.sleep(pauses.next(), signal).catch(() => undefined);
    }
  };
}

function listens(server: Server, { address, port }: TransferServerDeps): Promise<boolean> {
  return new Promise((resolve) => {
    // Also later, of connections that cannot be taken.
    server.on("error", () => resolve(false));
    server.listen(port, address, () => resolve(true));
  });
}

function receive(socket: Socket, { peers, responder, clock }: TransferServerDeps): void {
  // Whoever connects chooses what is read here: a link-local address, and nothing if it has gone.
  const from = remoteAddress(socket.remoteAddress ?? "0.0.0.0");
  if (!peers.hasAddress(from)) {
    socket.destroy();
    return;
  }
  const challenge = randomBytes(challengeLength);
  let greeting: Buffer = Buffer.alloc(0);
  let isGreeted = false;
  let octets = 0;
  const stopTimer = clock.setTimer(maxMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("close", stopTimer);
  socket.on("data", (data) => {
    octets += data.length;
    if (octets > maxOctets) socket.destroy();
    if (isGreeted) return;
    greeting = Buffer.concat([greeting, data.subarray(0, askLength)]);
    if (greeting.length < askLength) return;
    isGreeted = isWelcome(greeting.subarray(0, askLength));
    if (!isGreeted) socket.destroy();
  });
  socket.on("end", () => {
    if (isGreeted) socket.end("+");
    else socket.destroy();
  });
  socket.write(challenge);

  function isWelcome(bytes: Buffer): boolean {
    const datagram = decodeDatagram(bytes);
    const peer = datagram && peers.other(datagram.sender);
    const key = peer && responder.keyOf(peer, from);
    if (datagram?.kind !== "stream" || key === undefined || !isAuthentic(bytes, key)) return false;
    return challenge.equals(datagram.body.subarray(0, challengeLength));
  }
}

/** Megabits a second of a transfer along a path; undefined when there was none. */
export function transfer(
  { source, destination }: Pick<Path, "source" | "destination">,
  to: { readonly port: number; readonly conversation: Conversation; readonly clock: Clock },
): Promise<number | undefined> {
  const { port, conversation, clock } = to;
  return new Promise((resolve) => {
    const socket = connect({ host: destination, port, localAddress: source, allowHalfOpen: true });
    const settle = (speed: number | undefined) => {
      stopTimer();
      socket.destroy();
      resolve(speed);
    };
    const stopTimer = clock.setTimer(maxMs, () => settle(undefined));
    socket.on("error", () => settle(undefined));
    socket.on("close", () => settle(undefined));
    let began: number | undefined;
    let sent = 0;
    socket.on("data", (data) => {
      if (began !== undefined) {
        settle((sent * 8) / 1000 / Math.max(clock.now() - began, 0.001));
        return;
      }
      if (data.length !== challengeLength) return settle(undefined);
      began = clock.now();
      socket.write(greetingOf(data, conversation));
      pump();
    });
    socket.on("drain", pump);

    function pump(): void {
      if (began === undefined) return;
      while (sent < sentOctets && clock.now() - began < sendingMs) {
        sent += chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.end();
    }
  });
}

function greetingOf(challenge: Uint8Array, { run, self, key, nextNumber }: Conversation): Buffer {
  const datagram = {
    kind: "stream",
    run,
    number: nextNumber(),
    sender: self,
    answerLength: 0,
  } as const;
  return encodeDatagram({ ...datagram, body: challenge }, askLength, key);
}
