import type { Asn } from "../../lib/asn.ts";
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Capability } from "./message.ts";

/**
 * A capability we know, as a row. `decode` sees exactly the value and gives undefined for a value
 * it cannot read; such a capability is kept as unknown, hence not used (RFC 5492 section 4).
 */
interface CapabilityRow<Kind extends Capability["kind"]> {
  readonly code: number;
  readonly rfc: string;
  readonly decode: (value: ByteReader) => CapabilityOf<Kind> | undefined;
  readonly encode: (capability: CapabilityOf<Kind>, to: ByteWriter) => void;
}

type CapabilityOf<Kind extends Capability["kind"]> = Extract<Capability, { kind: Kind }>;
type KnownKind = Exclude<Capability["kind"], "unknown">;

const rows: { readonly [Kind in KnownKind]: CapabilityRow<Kind> } = {
  // AFI (2), reserved (1), SAFI (1)
  multiprotocol: {
    code: 1,
    rfc: "4760 section 8",
    decode: (value) => {
      if (value.remaining !== 4) return undefined;
      const afi = value.u16();
      value.u8();
      return { kind: "multiprotocol", afi, safi: value.u8() };
    },
    encode: ({ afi, safi }, to) => to.u16(afi).u8(0).u8(safi),
  },
  routeRefresh: {
    code: 2,
    rfc: "2918 section 2",
    decode: (value) => (value.remaining === 0 ? { kind: "routeRefresh" } : undefined),
    encode: () => undefined,
  },
  // flags (4 bits), restart time (12 bits), then AFI (2), SAFI (1), flags (1) of each family
  gracefulRestart: {
    code: 64,
    rfc: "4724 section 3",
    decode: decodeGracefulRestart,
    encode: ({ restarting, restartSeconds, families }, to) => {
      to.u16((restarting ? 0x8000 : 0) | (restartSeconds & 0xfff));
      for (const { afi, safi, forwarding } of families) {
        to.u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0);
      }
    },
  },
  fourOctetAs: {
    code: 65,
    rfc: "6793 section 3",
    decode: (value) =>
      value.remaining === 4 ? { kind: "fourOctetAs", asn: value.u32() as Asn } : undefined,
    encode: ({ asn }, to) => to.u32(asn),
  },
};

const decoders: ReadonlyMap<number, (value: ByteReader) => Capability | undefined> = new Map(
  Object.values(rows).map(({ code, decode }) => [code, decode]),
);

/** Reads code (1), length (1), value triples until the end of `reader`. @throws {ShortRead} */
export function decodeCapabilities(reader: ByteReader): Capability[] {
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const value = reader.bytes(reader.u8());
    const known = decoders.get(code)?.(new ByteReader(value));
    capabilities.push(known ?? { kind: "unknown", code, value: value.slice() });
  }
  return capabilities;
}

/** The triples that decodeCapabilities reads. A value over 255 octets is a RangeError. */
export function encodeCapabilities(capabilities: readonly Capability[]): Uint8Array {
  const to = new ByteWriter(64);
  for (const capability of capabilities) {
    const value = new ByteWriter(16);
    const code = writeValue(capability, value);
    if (value.length > 255) {
      throw new RangeError(
        `Cannot encode capability ${code}: its value has ${value.length} octets`,
      );
    }
    to.u8(code).u8(value.length).bytes(value.finish());
  }
  return to.finish();
}

/** Gives the code. */
function writeValue(capability: Capability, to: ByteWriter): number {
  switch (capability.kind) {
    case "multiprotocol":
      rows.multiprotocol.encode(capability, to);
      return rows.multiprotocol.code;
    case "routeRefresh":
      return rows.routeRefresh.code;
    case "gracefulRestart":
      rows.gracefulRestart.encode(capability, to);
      return rows.gracefulRestart.code;
    case "fourOctetAs":
      rows.fourOctetAs.encode(capability, to);
      return rows.fourOctetAs.code;
    case "unknown":
      to.bytes(capability.value);
      return capability.code;
  }
}

function decodeGracefulRestart(value: ByteReader): CapabilityOf<"gracefulRestart"> | undefined {
  if (value.remaining < 2 || value.remaining % 4 !== 2) return undefined;
  const head = value.u16();
  const families: { afi: number; safi: number; forwarding: boolean }[] = [];
  while (value.remaining > 0) {
    const [afi, safi, flags] = [value.u16(), value.u8(), value.u8()];
    families.push({ afi, safi, forwarding: (flags & 0x80) !== 0 });
  }
  const restarting = (head & 0x8000) !== 0;
  return { kind: "gracefulRestart", restarting, restartSeconds: head & 0xfff, families };
}
