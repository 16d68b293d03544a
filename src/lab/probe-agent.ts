import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import type { ProbeAnswer, ProbeRequest, ProbeTarget } from "./probe.ts";

/**
 * Runs inside one network namespace: reads a request a line, writes an answer a line, ends with its
 * standard input. A listener answers every connection or datagram with the source address it saw.
 */

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, ...request } = JSON.parse(line) as ProbeRequest & { id: number };
    carryOut(request)
      .catch((error: Error): ProbeAnswer => ({ ok: false, error: error.message }))
      .then((answer) => process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`));
  })
  .on("close", () => process.exit(0));

async function carryOut(request: ProbeRequest): Promise<ProbeAnswer> {
  if (request.op === "listen") {
    await Promise.all(
      request.ports.map(({ port, protocol }) =>
        protocol === "TCP" ? listenTcp(port) : listenUdp(port),
      ),
    );
    return { ok: true };
  }
  if (request.protocol === "ICMP") return ping(request, request.timeoutMs);
  return request.protocol === "TCP"
    ? probeTcp(request, request.timeoutMs)
    : probeUdp(request, request.timeoutMs);
}

function listenTcp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.end(plainAddress(socket.remoteAddress ?? ""));
    })
      .on("error", reject)
      .listen(port, "::", resolve);
  });
}

function listenUdp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: "udp6", ipv6Only: false });
    socket.on("error", reject);
    socket.on("message", (_message, from) => {
      socket.send(plainAddress(from.address), from.port, from.address);
    });
    socket.bind(port, "::", resolve);
  });
}

/** "::ffff:10.0.0.1" is 10.0.0.1 on a socket of both families. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:/, "");
}

function probeTcp({ address, port }: ProbeTarget, timeoutMs: number): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: address, port });
    const finish = (answer: ProbeAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish({ ok: false, error: "timed out" }));
    socket.on("error", (error) => finish({ ok: false, error: error.message }));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => finish({ ok: true, seenAs: Buffer.concat(chunks).toString() }));
  });
}

function probeUdp({ address, port }: ProbeTarget, timeoutMs: number): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    const finish = (answer: ProbeAnswer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish({ ok: false, error: "timed out" }), timeoutMs);
    socket.on("error", (error) => finish({ ok: false, error: error.message }));
    socket.on("message", (message) => finish({ ok: true, seenAs: message.toString() }));
    socket.connect(port, address, () => socket.send("?"));
  });
}

function ping({ address }: ProbeTarget, timeoutMs: number): Promise<ProbeAnswer> {
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  return new Promise((resolve) => {
    const child = spawn("ping", ["-n", "-q", "-c", "1", "-W", String(seconds), address], {
      stdio: "ignore",
    });
    child.on("error", (error) => resolve({ ok: false, error: error.message }));
    child.on("exit", (code) => resolve({ ok: code === 0 }));
  });
}
