import type { ByteWriter } from "../../lib/byte-writer.ts";
import { attributeFlag } from "./attribute-flag.ts";
import type { OutgoingAttributes } from "./attribute-row.ts";
import { attributeRows } from "./attribute-rows.ts";
import type { EncodeOptions } from "./context.ts";
import type { PathAttributes } from "./message.ts";

type UnknownAttribute = NonNullable<PathAttributes["unknown"]>[number];

const noAttributes: readonly UnknownAttribute[] = [];

/** The path attribute field without MP_*, in ascending order of codes (RFC 4271 section 5). */
export function writeAttributes(
  outgoing: OutgoingAttributes,
  options: EncodeOptions,
  to: ByteWriter,
): void {
  const unknown = outgoing.attributes.unknown?.toSorted((a, b) => a.code - b.code) ?? noAttributes;
  let next = 0;
  for (const { code, flags, encode } of attributeRows) {
    if (encode === undefined || !encode.isSent(outgoing, options)) continue;
    while (next < unknown.length && (unknown[next]?.code ?? 0) < code) {
      writeUnknown(unknown[next++], to);
    }
    to.u8(flags).u8(code).u8(0);
    const value = to.length;
    encode.write(outgoing, to, options);
    endAttribute(to, value);
  }
  while (next < unknown.length) writeUnknown(unknown[next++], to);
}

/** What we pass on without knowing it is marked Partial (RFC 4271 section 5). */
function writeUnknown(attribute: UnknownAttribute | undefined, to: ByteWriter): void {
  if (attribute === undefined) return;
  const { flags, code, value } = attribute;
  writeAttribute({ flags: flags | attributeFlag.partial, code, value }, to);
}

/** Header and value of one attribute. */
export function writeAttribute({ flags, code, value }: UnknownAttribute, to: ByteWriter): void {
  to.u8(flags & ~attributeFlag.extendedLength)
    .u8(code)
    .u8(0);
  const start = to.length;
  to.bytes(value);
  endAttribute(to, start);
}

/** Sets the length of the attribute whose value starts at `start`; an extended one when it must be. */
function endAttribute(to: ByteWriter, start: number): void {
  const length = to.length - start;
  if (length <= 0xff) {
    to.patchU8(start - 1, length);
    return;
  }
  const value = to.view(start).slice();
  const [flags = 0] = to.view(start - 3);
  to.patchU8(start - 3, flags | attributeFlag.extendedLength);
  to.truncate(start - 1)
    .u16(length)
    .bytes(value);
}
