/** Attribute Flags (RFC 4271 section 4.3). */
export const attributeFlag: {
  readonly optional: 0x80;
  readonly transitive: 0x40;
  readonly partial: 0x20;
  readonly extendedLength: 0x10;
} = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 };

/** Optional and Transitive as each class of attributes has them. */
export const wellKnown: number = attributeFlag.transitive;
export const optionalTransitive: number = attributeFlag.optional | attributeFlag.transitive;
