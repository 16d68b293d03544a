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
type FlagKind = "routeRefresh" | "extendedMessage" | "enhancedRouteRefresh";
type KnownKind = Exclude<Capability["kind"], "unknown">;

type AddPathMode = CapabilityOf<"addPath">["families"][number]["mode"];

/** By the value on the wire, from 1. */
const addPathModes: readonly AddPathMode[] = ["receive", "send", "both"];

/** A capability that is there or not, without a value. */
function flagRow<Kind extends FlagKind>(
  kind: Kind,
  { code, rfc }: { readonly code: number; readonly rfc: string },
): CapabilityRow<Kind> {
  return {
    code,
    rfc,
    decode: (value) => (value.remaining === 0 ? ({ kind } as CapabilityOf<Kind>) : undefined),
    encode: () => undefined,
  };
}

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
  routeRefresh: flagRow("routeRefresh", { code: 2, rfc: "2918 section 2" }),
  // flags (4 bits), restart time (12 bits), then AFI (2), SAFI (1), flags (1) of each family
  gracefulRestart: {
    code: 64,
    rfc: "4724 section 3",
    decode: decodeGracefulRestart,
    encode: ({ restarting, notification, restartSeconds, families }, to) => {
      const flags = (restarting ? 0x8000 : 0) | (notification === true ? 0x4000 : 0);
      to.u16(flags | (restartSeconds & 0xfff));
      for (const { afi, safi, forwarding } of families) {
        to.u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0);
      }
    },
  },
  // AFI (2), SAFI (2), AFI of the next hop (2) of each family
  extendedNextHop: {
    code: 5,
    rfc: "8950 section 4",
    decode: (value) => {
      if (value.remaining % 6 !== 0) return undefined;
      const families: { afi: number; safi: number; nextHopAfi: number }[] = [];
      while (value.remaining > 0) {
        families.push({ afi: value.u16(), safi: value.u16(), nextHopAfi: value.u16() });
      }
      return { kind: "extendedNextHop", families };
    },
    encode: ({ families }, to) => {
      for (const { afi, safi, nextHopAfi } of families) to.u16(afi).u16(safi).u16(nextHopAfi);
    },
  },
  extendedMessage: flagRow("extendedMessage", { code: 6, rfc: "8654 section 3" }),
  // AFI (2), SAFI (1), send and receive (1) of each family
  addPath: {
    code: 69,
    rfc: "7911 section 4",
    decode: decodeAddPath,
    encode: ({ families }, to) => {
      for (const { afi, safi, mode } of families) {
        to.u16(afi)
          .u8(safi)
          .u8(addPathModes.indexOf(mode) + 1);
      }
    },
  },
  enhancedRouteRefresh: flagRow("enhancedRouteRefresh", { code: 70, rfc: "7313 section 3.1" }),
  // AFI (2), SAFI (1), flags (1), stale time (3) of each family
  longLivedGracefulRestart: {
    code: 71,
    rfc: "9494 section 3.1",
    decode: (value) => {
      if (value.remaining % 7 !== 0) return undefined;
      const families: { afi: number; safi: number; forwarding: boolean; staleSeconds: number }[] =
        [];
      while (value.remaining > 0) {
        const [afi, safi, flags] = [value.u16(), value.u8(), value.u8()];
        const staleSeconds = value.u8() * 0x10000 + value.u16();
        families.push({ afi, safi, forwarding: (flags & 0x80) !== 0, staleSeconds });
      }
      return { kind: "longLivedGracefulRestart", families };
    },
    encode: ({ families }, to) => {
      for (const { afi, safi, forwarding, staleSeconds } of families) {
        to.u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0)
          .u8(staleSeconds >>> 16)
          .u16(staleSeconds & 0xffff);
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
  if (capability.kind === "unknown") {
    to.bytes(capability.value);
    return capability.code;
  }
  // The row of a kind takes capabilities of this kind.
  const row = rows[capability.kind] as unknown as CapabilityRow<Capability["kind"]>;
  row.encode(capability, to);
  return row.code;
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
  const notification = (head & 0x4000) !== 0;
  const restartSeconds = head & 0xfff;
  return { kind: "gracefulRestart", restarting, notification, restartSeconds, families };
}

/** A family with a mode that we do not know is passed over (RFC 7911 section 4). */
function decodeAddPath(value: ByteReader): CapabilityOf<"addPath"> | undefined {
  if (value.remaining % 4 !== 0) return undefined;
  const families: { afi: number; safi: number; mode: AddPathMode }[] = [];
  while (value.remaining > 0) {
    const [afi, safi] = [value.u16(), value.u8()];
    const mode = addPathModes[value.u8() - 1];
    if (mode !== undefined) families.push({ afi, safi, mode });
  }
  return { kind: "addPath", families };
}
