import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WireguardPeer } from "../../../../src/kernel/kernel.ts";
import { readFamilyId } from "../../../../src/kernel/netlink/generic.ts";
import type { MessageWriter } from "../../../../src/kernel/netlink/message.ts";
import { isWireguardKey } from "../../../../src/kernel/wireguard/wireguard-key.ts";
import {
  joinDevice,
  readDevicePart,
  writeDeviceChange,
  writeDeviceRequest,
  writeMoreAllowed,
  writePeer,
  writePeerRemoval,
} from "../../../../src/kernel/wireguard/wireguard-message.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { type Prefix, parsePrefix } from "../../../../src/lib/prefix.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { fakeKey } from "../../../support/fake-wireguard.ts";
import { netlinkBody } from "../../../support/netlink-body.ts";

/** As the kernel goes on with a listing: with peers alone. */
function withoutIndex(message: Buffer): Buffer {
  return Buffer.concat([message.subarray(0, 4), message.subarray(12)]);
}

const hex = (fill: (writer: MessageWriter) => void) => netlinkBody(fill).toString("hex");
const key = (octet: number) => octet.toString(16).padStart(2, "0").repeat(32);

function peer(octet: number, more: Partial<WireguardPeer> = {}): WireguardPeer {
  return { publicKey: fakeKey(octet), keepaliveSeconds: 0, allowed: [], ...more };
}

test("a device is asked for by its index, and changed by what is given", () => {
  assert.equal(
    hex((writer) => writeDeviceRequest(writer, 7)),
    "00010000 0800010007000000".replaceAll(" ", ""),
  );
  assert.equal(
    hex((writer) => writeDeviceChange(writer, 7, { listenPort: 51_820, mark: 0x200000 })),
    "01010000 0800010007000000 060006006cca0000 0800070000002000".replaceAll(" ", ""),
  );
  assert.equal(
    hex((writer) => writeDeviceChange(writer, 7, { privateKey: Buffer.alloc(32, 0xab) })),
    `01010000 0800010007000000 24000300${key(0xab)}`.replaceAll(" ", ""),
  );
});

test("a peer is written with its keys, endpoint, keepalive and allowed addresses", () => {
  const one = peer(1, {
    presharedKey: new Secret(fakeKey(2)),
    endpoint: { address: parseIpAddr("192.168.1.12"), port: 51_820 },
    keepaliveSeconds: 25,
  });
  const allowed = [parsePrefix("10.0.1.0/26"), parsePrefix("fd00::1/128")];
  const expected = [
    "01010000 0800010007000000",
    // peers { peer {
    "bc000880 b8000080",
    `24000100${key(1)}`,
    `24000200${key(2)}`,
    // replace the allowed addresses
    "0800030002000000",
    // sockaddr_in
    "14000400 0200 ca6c c0a8010c 0000000000000000",
    "0600050019000000",
    // allowed { {family, address, length} ... }
    "48000980",
    "1c000080 0600010002000000 080002000a000100 050003001a000000",
    "28000080 060001000a000000 14000200fd000000000000000000000000000001 0500030080000000",
  ];
  const text = expected.join("").replaceAll(" ", "");
  assert.equal(
    hex((writer) => writePeer(writer, 7, one, allowed)),
    text,
  );
});

test("a peer goes by its key alone, and without a pre-shared key has one of zeros", () => {
  assert.equal(
    hex((writer) => writePeerRemoval(writer, 7, fakeKey(1))),
    `01010000 0800010007000000 34000880 30000080 24000100${key(1)} 0800030001000000`.replaceAll(
      " ",
      "",
    ),
  );
  assert.ok(hex((writer) => writePeer(writer, 7, peer(1), [])).includes(`24000200${key(0)}`));
});

test("what is written is what the kernel's listing of it is read as", () => {
  const one = peer(1, {
    presharedKey: new Secret(fakeKey(2)),
    endpoint: { address: parseIpAddr("fd00::12"), port: 51_821 },
    keepaliveSeconds: 25,
    allowed: [parsePrefix("10.0.1.0/26"), parsePrefix("fd00:1::/122")],
  });
  const read = readDevicePart(netlinkBody((writer) => writePeer(writer, 7, one, one.allowed)));
  assert.deepEqual(JSON.parse(JSON.stringify(read)), {
    ifindex: 7,
    listenPort: 0,
    mark: 0,
    peers: [{ ...JSON.parse(JSON.stringify(one)), receivedBytes: 0, sentBytes: 0 }],
  });
});

test("a peer with many addresses goes on in another message, under its key", () => {
  const nets = Array.from({ length: 300 }, (_, i) => parsePrefix(`10.${i >> 8}.${i & 255}.0/26`));
  const parts: Prefix[][] = [nets.slice(0, 200), nets.slice(200)];
  const messages = [
    netlinkBody((writer) => writePeer(writer, 7, peer(1), parts[0] ?? [])),
    withoutIndex(netlinkBody((writer) => writeMoreAllowed(writer, 7, fakeKey(1), parts[1] ?? []))),
    netlinkBody((writer) => writePeer(writer, 7, peer(2), [])),
  ];
  assert.equal(joinDevice([]), undefined);
  const device = joinDevice(messages.map(readDevicePart));
  assert.deepEqual(
    device?.peers.map(({ publicKey, allowed }) => [publicKey, allowed]),
    [
      [fakeKey(1), nets],
      [fakeKey(2), []],
    ],
  );
});

test("a device without a key has none: 32 zeros are no key", () => {
  const read = readDevicePart(
    netlinkBody((writer) => {
      writeDeviceRequest(writer, 7);
      writer.attribute(4, Buffer.alloc(32));
    }),
  );
  assert.equal(read.publicKey, undefined);
  assert.equal(isWireguardKey(fakeKey(0)), false);
  assert.equal(isWireguardKey(fakeKey(1)), true);
  for (const wrong of ["", "AA==", `${fakeKey(1)} `, fakeKey(1).slice(1), "\u0000".repeat(44)]) {
    assert.equal(isWireguardKey(wrong), false, wrong);
  }
  const any = Buffer.alloc(32, 0xff).toString("base64");
  assert.equal(isWireguardKey(any), true);
  assert.equal(isWireguardKey(any.replace("8=", "9=")), false, "bits that no octet has");
});

test("no octets make the decoders throw", () => {
  const whole = netlinkBody((writer) =>
    writePeer(writer, 7, peer(1, { presharedKey: new Secret(fakeKey(2)) }), [
      parsePrefix("10.0.0.0/8"),
    ]),
  );
  const cut = fc.record({
    at: fc.nat({ max: whole.length - 1 }),
    octet: fc.integer({ min: 0, max: 255 }),
    length: fc.nat({ max: whole.length }),
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.array(cut, { maxLength: 4 }), (any, cuts) => {
      const changed = Buffer.from(whole);
      for (const { at, octet } of cuts) changed[at] = octet;
      const length = cuts[0]?.length ?? whole.length;
      for (const bytes of [Buffer.from(any), changed.subarray(0, length)]) {
        const read = readDevicePart(bytes);
        joinDevice([read, read]);
        readFamilyId(bytes);
      }
    }),
  );
});

test("an allowed address of more bits than there are is none", () => {
  const one = peer(1, { allowed: [parsePrefix("10.0.0.0/32"), parsePrefix("fd00::/128")] });
  const whole = netlinkBody((writer) => writePeer(writer, 7, one, one.allowed));
  for (const [bits, more] of [
    ["0500030020", "0500030021"],
    ["0500030080", "0500030081"],
  ] as const) {
    const wrong = Buffer.from(whole.toString("hex").replace(bits, more), "hex");
    assert.notDeepEqual(wrong, whole);
    assert.equal(readDevicePart(wrong).peers[0]?.allowed.length, 1);
  }
});
