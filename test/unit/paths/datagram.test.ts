import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Datagram,
  decodeDatagram,
  encodeDatagram,
  isAuthentic,
} from "../../../src/paths/datagram.ts";
import { PathKeys } from "../../../src/paths/keys.ts";

const [one, other] = [new PathKeys(), new PathKeys()];
const key = one.sharedWith(other.publicKey) ?? assert.fail("no key");
const probe: Datagram = {
  kind: "probe",
  run: "00112233445566aa",
  number: 7,
  sender: "node-1.example",
  answerLength: 320,
  body: Buffer.from("body"),
};

test("both nodes make the same key of each other's public keys, and a third makes another", () => {
  assert.deepEqual(other.sharedWith(one.publicKey), key);
  assert.notDeepEqual(new PathKeys().sharedWith(one.publicKey), key);
});

test("what is no public key, or a point of small order, or our own gives no key", () => {
  const zero = Buffer.alloc(32).toString("base64url");
  for (const wrong of ["", "x", zero, `${other.publicKey}A`, one.publicKey]) {
    assert.equal(one.sharedWith(wrong), undefined, wrong);
  }
});

test("a datagram comes out as it went in, and filled up", () => {
  const bytes = encodeDatagram(probe, 320, key);
  assert.equal(bytes.length, 320);
  assert.ok(isAuthentic(bytes, key));
  const { body, ...rest } = decodeDatagram(bytes) ?? assert.fail("not decoded");
  assert.deepEqual({ ...rest, body: Buffer.from(body.subarray(0, 4)) }, probe);
});

test("a datagram with any octet changed is not authentic", () => {
  const bytes = encodeDatagram(probe, 320, key);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.ok(!isAuthentic(changed, key), `octet ${at}`);
  }
});

test("what does not fit is refused, a name that is too long too", () => {
  assert.throws(() => encodeDatagram(probe, 50, key), /Cannot put a probe of 58 octets into 50/);
  const sender = "n".repeat(254);
  assert.throws(() => encodeDatagram({ ...probe, sender }, 400, key), RangeError);
});

test("decodeDatagram() and isAuthentic() never throw", () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  const start = encodeDatagram(probe, 320, key);
  const ours = bytes.map((tail) => Buffer.concat([start.subarray(0, 24), tail]));
  fc.assert(
    fc.property(fc.oneof(bytes, ours), (given) => {
      decodeDatagram(given);
      assert.ok(!isAuthentic(given, key));
    }),
  );
});
