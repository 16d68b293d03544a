import { errorCode, type NotificationBody } from "./notification.ts";

/** What decoding gives: a value, or the NOTIFICATION that ends the session. */
export type Decoded<Value> = { readonly ok: true; readonly message: Value } | DecodeFailure;

export interface DecodeFailure {
  readonly ok: false;
  readonly notification: NotificationBody;
  /** For people: what was wrong, with the offending value. */
  readonly reason: string;
}

const noData = new Uint8Array(0);

/** A failure with the NOTIFICATION `code`/`subcode`. */
export function failure(
  code: number,
  subcode: number,
  { reason, data = noData }: { readonly reason: string; readonly data?: Uint8Array },
): DecodeFailure {
  return { ok: false, notification: { code, subcode, data }, reason };
}

/**
 * Thrown and caught inside the decoder only: an error of an UPDATE that ends the session (RFC 7606
 * section 2, "session reset").
 */
export class UpdateError extends Error {
  override readonly name = "UpdateError";
  readonly subcode: number;
  readonly data: Uint8Array;

  constructor(reason: string, subcode: number, data: Uint8Array = noData) {
    super(reason);
    this.subcode = subcode;
    this.data = data;
  }

  get failure(): DecodeFailure {
    return failure(errorCode.update, this.subcode, { reason: this.message, data: this.data });
  }
}
