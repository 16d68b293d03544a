import assert from "node:assert/strict";
import { type BfdPacket, decodePacket, encodePacket } from "../../src/bgp/bfd/packet.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

const packet: BfdPacket = {
  diagnostic: 0,
  state: "Down",
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMultiplier: 3,
  myDiscriminator: 1,
  yourDiscriminator: 0,
  desiredMinTxUs: 1_000_000,
  requiredMinRxUs: 300_000,
  requiredMinEchoRxUs: 0,
};

/** Targets for datagrams. */
export const packetTargets: readonly FuzzTarget[] = [
  {
    name: "bfd",
    corpus: [
      encodePacket(packet),
      encodePacket({ ...packet, state: "Up", yourDiscriminator: 7, poll: true }),
      encodePacket({ ...packet, state: "Init", yourDiscriminator: 9, final: true, diagnostic: 7 }),
    ],
    maxLength: 80,
    run: (input) => {
      const decoded = decodePacket(input);
      if (!decoded.ok) return decoded.reason.replaceAll(/\d+/g, "N");
      const again = decodePacket(encodePacket(decoded.packet));
      assert.deepEqual(again, decoded);
      return decoded.packet.state;
    },
  },
];
