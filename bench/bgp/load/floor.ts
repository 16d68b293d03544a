import { createServer, type Socket } from "node:net";
import { headerLength, keepalive, message, openMessage, u16 } from "./messages.ts";

/**
 * The floor of all rows: a reflector that passes on UPDATEs as bytes. It keeps what each client
 * sent, writes one buffer to all others, and does nothing else that a BGP speaker must do.
 *
 * Usage: node load/floor.ts ADDRESS ASN HOLD_SECONDS
 */
const [address = "", asn = "0", holdSeconds = "90"] = process.argv.slice(2);
const open = openMessage(Number(asn), Number(holdSeconds), 0x0a4d0001);

interface Client {
  readonly socket: Socket;
  isEstablished: boolean;
  rest: Buffer;
  /** UPDATEs that announce what is not withdrawn. */
  readonly updates: Buffer[];
}

const clients = new Set<Client>();
/** UPDATEs of this turn of the event loop, by sender. */
const pending = new Map<Client, Buffer[]>();

createServer({ noDelay: true }, (socket) => {
  const client: Client = { socket, isEstablished: false, rest: Buffer.alloc(0), updates: [] };
  clients.add(client);
  socket.on("data", (chunk: Buffer) => data(client, chunk));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => closed(client));
}).listen({ host: address, port: 179, backlog: 4096 });

setInterval(
  () => {
    for (const { socket, isEstablished } of clients) if (isEstablished) socket.write(keepalive);
  },
  (Number(holdSeconds) * 1000) / 3,
);

function data(client: Client, chunk: Buffer): void {
  const bytes = client.rest.length === 0 ? chunk : Buffer.concat([client.rest, chunk]);
  let at = 0;
  let updates = -1;
  const passOn = () => {
    if (updates >= 0) collect(client, bytes.subarray(updates, at));
    updates = -1;
  };
  while (bytes.length - at >= headerLength) {
    const size = bytes.readUInt16BE(at + 16);
    if (bytes.length - at < size) break;
    const type = bytes[at + 18];
    if (type === 2 && size > headerLength + 4) {
      if (updates < 0) updates = at;
    } else {
      passOn();
      other(client, type);
    }
    at += size;
  }
  passOn();
  client.rest = bytes.subarray(at);
}

function other(client: Client, type: number | undefined): void {
  if (type === 1) client.socket.write(Buffer.concat([open, keepalive]));
  else if (type === 4 && !client.isEstablished) establish(client);
  else if (type === 5) sendAll(client);
}

function establish(client: Client): void {
  client.isEstablished = true;
  sendAll(client);
}

function sendAll(client: Client): void {
  flush();
  for (const sender of clients) {
    if (sender === client) continue;
    for (const update of sender.updates) client.socket.write(update);
  }
}

function collect(client: Client, updates: Buffer): void {
  if (updates.readUInt16BE(headerLength) > 0) client.updates.length = 0;
  else client.updates.push(updates);
  const list = pending.get(client);
  if (list !== undefined) list.push(updates);
  else pending.set(client, [updates]);
  if (pending.size === 1 && list === undefined) setImmediate(flush);
}

/** One buffer for all; who sent a part of it gets what is before and after that part. */
function flush(): void {
  if (pending.size === 0) return;
  const parts: Buffer[] = [];
  const spans = new Map<Client, readonly [start: number, end: number]>();
  let at = 0;
  for (const [sender, updates] of pending) {
    const start = at;
    for (const update of updates) at += update.length;
    parts.push(...updates);
    spans.set(sender, [start, at]);
  }
  pending.clear();
  const everything = Buffer.concat(parts);
  for (const client of clients) {
    if (!client.isEstablished) continue;
    const [start, end] = spans.get(client) ?? [0, 0];
    if (start > 0) client.socket.write(everything.subarray(0, start));
    if (end < everything.length) client.socket.write(everything.subarray(end));
  }
}

function closed(client: Client): void {
  if (!clients.delete(client)) return;
  flush();
  for (const update of [...client.updates]) collect(client, withdrawalOf(update));
}

/** The same NLRI as withdrawn routes. */
function withdrawalOf(update: Buffer): Buffer {
  const attributes = update.readUInt16BE(headerLength + 2);
  const nlri = update.subarray(headerLength + 4 + attributes, update.readUInt16BE(16));
  return Buffer.from(message("update", [...u16(nlri.length), ...nlri, 0, 0]));
}
