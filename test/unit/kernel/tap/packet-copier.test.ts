import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { libc } from "../../../../src/kernel/netlink/libc.ts";
import { openTunnelSocket, PacketCopier } from "../../../../src/kernel/tap/packet-copier.ts";
import { openUdpSocket } from "../../../../src/kernel/udp-socket.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";

/** Loopback addresses: this node, a peer, and who is none. */
const [own, peer, stranger] = [0x7f000001, 0x7f000002, 0x7f000003];
const EFD_NONBLOCK = 0x800;
const [SOL_SOCKET, SO_RCVBUF] = [1, 8];

const opened: number[] = [];
afterEach(() => {
  for (const fd of opened.splice(0)) libc.close(fd);
});

function opens(fd: number): number {
  assert.ok(fd >= 0);
  opened.push(fd);
  return fd;
}

function sockaddr(host: number, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt32BE(host, 4);
  return bytes;
}

function portOf(fd: number): number {
  const [bytes, length] = [Buffer.alloc(16), Buffer.from([16, 0, 0, 0])];
  assert.equal(libc.getsockname(fd, bytes, length), 0);
  return bytes.readUInt16BE(2);
}

function addressOf(host: number): IpAddr {
  return parseIpAddr(`127.0.0.${host & 0xff}`);
}

function socketOf(host: number, port = 0): number {
  return opens(openUdpSocket({ address: addressOf(host), port }));
}

function connect(fd: number, host: number, port: number): number {
  assert.equal(libc.connect(fd, sockaddr(host, port), 16), 0);
  return fd;
}

function send(fd: number, bytes: Uint8Array): void {
  assert.equal(Number(libc.write(fd, bytes, bytes.length)), bytes.length);
}

/** All that has come, as hex. */
function received(fd: number): string[] {
  const found: string[] = [];
  for (const room = Buffer.alloc(65_536); ; ) {
    const length = Number(libc.read(fd, room, room.length));
    if (length < 0) return found;
    found.push(room.toString("hex", 0, length));
  }
}

/** A copier whose device is a socket: `device` is its other end. One round is run, and it returns. */
function setUp() {
  const [tap, device] = [socketOf(own), socketOf(own)];
  connect(tap, own, portOf(device));
  connect(device, own, portOf(tap));
  libc.setsockopt(tap, SOL_SOCKET, SO_RCVBUF, Buffer.from(Int32Array.of(1 << 20).buffer), 4);
  const udp = opens(openTunnelSocket(addressOf(own), 0));
  const port = portOf(udp);
  const wake = opens(libc.eventfd(0, EFD_NONBLOCK));
  const copier = new PacketCopier({ tap, udp, wake, ownNode: addressOf(own), port });
  copier.peers = [addressOf(peer)];
  const from = (host: number) => connect(socketOf(host, port), own, port);
  const round = () => {
    send(wake, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
    copier.run();
    return copier.counts;
  };
  return { device, from, round };
}

/** Ethernet header of a frame between two nodes. */
function header(to: number, by: number, type: string): string {
  return `0285${to.toString(16)}0285${by.toString(16)}${type}`;
}

test("Datagrams of peers that are IP packets become frames; nothing else does", () => {
  const { device, from, round } = setUp();
  const [ofPeer, ofStranger] = [from(peer), from(stranger)];
  const v4 = Buffer.from("4500001400000000", "hex");
  send(ofStranger, v4);
  for (const hostile of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(20, 0x5f)]) {
    send(ofPeer, hostile);
  }
  send(ofPeer, Buffer.alloc(30_000, 0x45));
  send(ofPeer, v4);
  send(ofPeer, Buffer.from("60", "hex"));
  assert.deepEqual(round(), { sent: 0, received: 2, strangers: 1, dropped: 4 });
  assert.deepEqual(received(device), [
    `${header(own, peer, "0800")}4500001400000000`,
    `${header(own, peer, "86dd")}60`,
  ]);
});

test("Frames go to the node that their address names, if it is a peer", () => {
  const { device, from, round } = setUp();
  const [atPeer, atStranger] = [from(peer), from(stranger)];
  const frame = (to: string) => Buffer.from(`${to}02857f0000010800450000aa`, "hex");
  for (const to of ["02857f000003", "ffffffffffff", "3333000000fb", "02857f000002"]) {
    send(device, frame(to));
  }
  const { sent, dropped } = round();
  assert.deepEqual([sent, dropped], [1, 3]);
  assert.deepEqual([received(atPeer), received(atStranger)], [["450000aa"], []]);
});

test("A flood of frames that go to nobody does not keep the copier from its other work", () => {
  const { device, round } = setUp();
  for (let i = 0; i < 300; i++) send(device, Buffer.alloc(14, 0xff));
  assert.equal(round().dropped, 256);
  assert.equal(round().dropped, 300);
});
