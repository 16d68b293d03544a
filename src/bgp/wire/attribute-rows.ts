import { attributeFlag } from "./attribute-flag.ts";
import type { AttributeRow } from "./attribute-row.ts";
import { baseAttributes } from "./base-attributes.ts";
import { listAttributes } from "./list-attributes.ts";

export type { DecodeContext, EncodeOptions } from "./context.ts";

/** Checked by mp-nlri.ts while it reads them. */
const multiprotocolAttributes: readonly AttributeRow[] = [
  {
    code: 14,
    name: "MP_REACH_NLRI",
    rfc: "4760 section 3",
    flags: attributeFlag.optional,
    onError: "reset",
    check: () => true,
  },
  {
    code: 15,
    name: "MP_UNREACH_NLRI",
    rfc: "4760 section 4",
    flags: attributeFlag.optional,
    onError: "reset",
    check: () => true,
  },
];

/** Every attribute that we know, in the order in which they are sent: by code. */
export const attributeRows: readonly AttributeRow[] = [
  ...baseAttributes,
  ...listAttributes,
  ...multiprotocolAttributes,
].sort((a, b) => a.code - b.code);

/** The row of each of the 256 codes; undefined where we know none. */
export const rowOfCode: readonly (AttributeRow | undefined)[] = Array.from(
  { length: 256 },
  (_, code) => attributeRows.find((row) => row.code === code),
);
