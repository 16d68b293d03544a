import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { mergeAs4Path } from "./as-path.ts";
import {
  type AttributeDraft,
  type AttributeRow,
  attributeFlag,
  attributeRows,
  type DecodeContext,
  type EncodeOptions,
} from "./attribute-rows.ts";
import { UpdateError } from "./decode-error.ts";
import type { PathAttributes } from "./message.ts";
import { asTrans } from "./open.ts";

/** Subcodes of UPDATE Message Error (RFC 4271 section 6.3). */
export const updateSubcode: {
  readonly malformedList: 1;
  readonly unknownWellKnown: 2;
  readonly optionalAttribute: 9;
  readonly networkField: 10;
} = { malformedList: 1, unknownWellKnown: 2, optionalAttribute: 9, networkField: 10 };

const rowByCode: ReadonlyMap<number, AttributeRow> = new Map(
  attributeRows.map((row) => [row.code, row]),
);

/** What an attribute field holds. `codes`: all attributes that were seen, known or not. */
export interface DecodedAttributes {
  readonly draft: AttributeDraft;
  readonly codes: ReadonlySet<number>;
  /** Why every prefix must be treated as withdrawn (RFC 7606); the first reason. */
  readonly withdraw?: string;
}

/**
 * Reads the path attributes of an UPDATE: flags (1), code (1), length (1, or 2 when extended), value.
 *
 * @throws {UpdateError} for what must reset the session.
 */
export function decodeAttributes(bytes: Uint8Array, context: DecodeContext): DecodedAttributes {
  const walk = new AttributeWalk(context);
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const start = bytes.length - reader.remaining;
    const extended = ((bytes[start] ?? 0) & attributeFlag.extendedLength) !== 0;
    if (reader.remaining < (extended ? 4 : 3)) {
      walk.withdraw(`${reader.remaining} octets are left where an attribute begins`);
      break;
    }
    const [flags, code] = [reader.u8(), reader.u8()];
    const length = extended ? reader.u16() : reader.u8();
    if (length > reader.remaining) {
      walk.withdraw(`Attribute ${code} of ${length} octets runs past the attributes`);
      break;
    }
    walk.attribute({ flags, code, value: reader.bytes(length) });
  }
  mergeOldPeer(walk.draft, context);
  const { draft, codes, reason } = walk;
  return reason === undefined ? { draft, codes } : { draft, codes, withdraw: reason };
}

interface RawAttribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
}

/** One pass over the attributes of one UPDATE. */
class AttributeWalk {
  readonly draft: AttributeDraft = { attributes: {} };
  readonly codes = new Set<number>();
  readonly #context: DecodeContext;
  reason: string | undefined;

  constructor(context: DecodeContext) {
    this.#context = context;
  }

  withdraw(reason: string): void {
    this.reason ??= reason;
  }

  attribute(raw: RawAttribute): void {
    const row = rowByCode.get(raw.code);
    if (this.codes.has(raw.code)) {
      // RFC 7606 section 3 g: only the first of a kind counts, but prefixes must not be lost.
      if (row?.onError !== "reset") return;
      throw new UpdateError(`${row.name} is there twice`, updateSubcode.malformedList);
    }
    this.codes.add(raw.code);
    if (row === undefined) this.#unknown(raw);
    else this.#known(row, raw);
  }

  #known(row: AttributeRow, { flags, value }: RawAttribute): void {
    if (row.internalOnly && this.#context.external) return;
    const fixed = attributeFlag.optional | attributeFlag.transitive;
    if ((flags & fixed) !== row.flags) {
      this.withdraw(`${row.name} has flags 0x${flags.toString(16)}`);
      // What can be read of prefixes is still needed, to withdraw them.
      if (row.onError !== "reset") return;
    }
    if (row.decode(new ByteReader(value), this.draft, this.#context)) return;
    const reason = `${row.name} of ${value.length} octets is malformed`;
    if (row.onError === "withdraw") this.withdraw(reason);
    if (row.onError === "reset") throw new UpdateError(reason, updateSubcode.optionalAttribute);
  }

  #unknown({ flags, code, value }: RawAttribute): void {
    if ((flags & attributeFlag.optional) === 0) {
      const data = encodeAttribute({ flags, code, value });
      const reason = `Well-known attribute ${code} is not known`;
      throw new UpdateError(reason, updateSubcode.unknownWellKnown, data);
    }
    if ((flags & attributeFlag.transitive) === 0) return;
    const kept = {
      flags: flags & ~attributeFlag.extendedLength & 0xf0,
      code,
      value: value.slice(),
    };
    this.draft.attributes.unknown = [...(this.draft.attributes.unknown ?? []), kept];
  }
}

/** RFC 6793 section 4.2.3. A peer with 4-octet ASes must not send AS4_*: then they are dropped. */
function mergeOldPeer(draft: AttributeDraft, { fourOctetAs }: DecodeContext): void {
  if (fourOctetAs) return;
  const { attributes, as4Path, as4Aggregator } = draft;
  const aggregatorIsOld =
    attributes.aggregator !== undefined && attributes.aggregator.asn !== asTrans;
  if (as4Aggregator !== undefined && aggregatorIsOld) return;
  if (as4Aggregator !== undefined && attributes.aggregator !== undefined) {
    attributes.aggregator = as4Aggregator;
  }
  if (as4Path !== undefined && attributes.asPath !== undefined) {
    attributes.asPath = mergeAs4Path(attributes.asPath, as4Path);
  }
}

/** All attributes but the next hop, in ascending order of their codes. */
export function encodeAttributes(
  attributes: PathAttributes,
  options: EncodeOptions,
): { readonly code: number; readonly bytes: Uint8Array }[] {
  const encoded: { code: number; bytes: Uint8Array }[] = [];
  for (const { code, flags, encode } of attributeRows) {
    const to = new ByteWriter(64);
    if (encode?.(attributes, to, options) !== true) continue;
    encoded.push({ code, bytes: encodeAttribute({ flags, code, value: to.finish() }) });
  }
  for (const { flags, code, value } of attributes.unknown ?? []) {
    const bytes = encodeAttribute({ flags: flags | attributeFlag.partial, code, value });
    encoded.push({ code, bytes });
  }
  return encoded.sort((a, b) => a.code - b.code);
}

/** Header and value of one attribute, with an extended length only when it is needed. */
export function encodeAttribute({ flags, code, value }: RawAttribute): Uint8Array {
  const to = new ByteWriter(value.length + 4);
  const plain = flags & ~attributeFlag.extendedLength;
  if (value.length > 255)
    to.u8(plain | attributeFlag.extendedLength)
      .u8(code)
      .u16(value.length);
  else to.u8(plain).u8(code).u8(value.length);
  return to.bytes(value).finish();
}
