import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { connectUnix, listenUnix, type UnixConnection } from "../../src/kernel/unix-socket.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-unix-"));
const path = join(folder, "socket");
after(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;

async function readToEnd(connection: UnixConnection): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const { bytes } = await connection.read(never);
    if (bytes.length === 0) return Buffer.concat(parts);
    parts.push(bytes);
  }
}

describe("unix sockets", () => {
  let end: AbortController;
  let listening: Promise<void>;
  let accepted: UnixConnection[];
  let onAccept: (() => void) | undefined;

  beforeEach(() => {
    end = new AbortController();
    accepted = [];
    listening = listenUnix(
      path,
      (connection) => {
        accepted.push(connection);
        onAccept?.();
      },
      end.signal,
    );
  });

  afterEach(async () => {
    end.abort();
    await listening;
    for (const connection of accepted) connection.close();
  });

  async function pair(): Promise<readonly [UnixConnection, UnixConnection]> {
    const arrival = new Promise<void>((resolve) => {
      onAccept = resolve;
    });
    const client = connectUnix(path);
    await arrival;
    return [client, accepted.at(-1) as UnixConnection];
  }

  test("the socket's file is ours alone, and goes at the end", async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    end.abort();
    await listening;
    assert.equal(existsSync(path), false);
  });

  test("peer tells who is at the other end", async () => {
    const [client, server] = await pair();
    const expected = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    assert.deepEqual(server.peer, expected);
    client.close();
    assert.deepEqual(server.peer, expected);
    server.close();
    assert.throws(() => server.peer, /closed/);
  });

  test("a descriptor arrives as another one of the same file, once", async () => {
    const [client, server] = await pair();
    const file = join(folder, "passed");
    writeFileSync(file, "content");
    const fd = openSync(file, "r");
    await client.write(Buffer.from("take this"), never, fd);
    await client.write(Buffer.from("and this"), never);
    const first = await server.read(never);
    assert.equal(first.descriptors.length, 1);
    const [received = -1] = first.descriptors;
    assert.notEqual(received, fd);
    assert.equal(readFileSync(received, "utf8"), "content");
    // FD_CLOEXEC, or every program that we run would inherit it.
    assert.match(readFileSync(`/proc/self/fdinfo/${received}`, "utf8"), /flags:\s+02\d{6}/);
    closeSync(received);
    closeSync(fd);
    await assert.rejects(client.write(Buffer.alloc(0), never, 0), /travels with a byte/);
    client.close();
    assert.equal((await readToEnd(server)).toString().replace("take this", ""), "and this");
  });

  test("8 MB go through both ways at once, and the end is seen", async () => {
    const [client, server] = await pair();
    const big = Buffer.alloc(8 << 20, "0123456789abcdef");
    const other = Buffer.alloc(8 << 20, "fedcba");
    const send = async (connection: UnixConnection, bytes: Buffer) => {
      await connection.write(bytes, never);
      connection.endWriting();
    };
    const [, , atServer, atClient] = await Promise.all([
      send(client, big),
      send(server, other),
      readToEnd(server),
      readToEnd(client),
    ]);
    assert.ok(atServer.equals(big));
    assert.ok(atClient.equals(other));
    client.close();
  });

  test("an abort ends a read and a write that wait, and nothing else", async () => {
    const [client, server] = await pair();
    const stop = new AbortController();
    const reading = assert.rejects(client.read(stop.signal), /enough/);
    const writing = assert.rejects(server.write(Buffer.alloc(8 << 20), stop.signal), /enough/);
    // The client now has what the socket's buffer took, so only its next read would wait.
    await assert.doesNotReject(client.read(never));
    stop.abort(new Error("enough"));
    await writing;
    await reading.catch(() => undefined);
    await client.write(Buffer.from("still open"), never);
    assert.equal((await server.read(never)).bytes.toString(), "still open");
    client.close();
  });

  test("an abort ends a read that waits for a silent peer", async () => {
    const [client, server] = await pair();
    const stop = new AbortController();
    const reading = assert.rejects(server.read(stop.signal), /enough/);
    stop.abort(new Error("enough"));
    await reading;
    await assert.rejects(server.read(stop.signal), /enough/);
    client.close();
  });

  test("close() ends what waits, and may be called twice", async () => {
    const [client, server] = await pair();
    const reading = assert.rejects(server.read(never), /closed/);
    server.close();
    server.close();
    await reading;
    await assert.rejects(server.read(never), /closed/);
    await assert.rejects(server.write(Buffer.from("x"), never), /closed/);
    server.endWriting();
    client.close();
  });

  test("a peer that leaves early: its last words, the end, then EPIPE", async () => {
    const [client, server] = await pair();
    await client.write(Buffer.from("bye"), never);
    client.close();
    assert.equal((await server.read(never)).bytes.toString(), "bye");
    assert.equal((await server.read(never)).bytes.length, 0);
    await assert.rejects(server.write(Buffer.from("hello?"), never), { errno: 32 });
  });

  test("a path that is too long is refused by name, before anything is opened", async () => {
    const long = join(folder, "x".repeat(108));
    const before = readdirSync("/proc/self/fd").length;
    assert.throws(() => connectUnix(long), /longer than 107 octets/);
    await assert.rejects(
      listenUnix(long, () => undefined, end.signal),
      /longer than 107 octets/,
    );
    assert.equal(readdirSync("/proc/self/fd").length, before);
  });

  test("nobody listens: connectUnix() says so and leaves no descriptor", () => {
    const before = readdirSync("/proc/self/fd").length;
    assert.throws(() => connectUnix(join(folder, "nobody")), { name: "NetlinkError", errno: 2 });
    assert.equal(readdirSync("/proc/self/fd").length, before);
  });

  test("a file of an earlier process is replaced", async () => {
    end.abort();
    await listening;
    writeFileSync(path, "stale");
    end = new AbortController();
    listening = listenUnix(path, (connection) => accepted.push(connection), end.signal);
    connectUnix(path).close();
  });

  test("a successor's socket is left alone by the one that ends", async () => {
    const second = new AbortController();
    const successor = listenUnix(path, (connection) => accepted.push(connection), second.signal);
    end.abort();
    await listening;
    connectUnix(path).close();
    second.abort();
    await successor;
    assert.equal(existsSync(path), false);
  });
});
