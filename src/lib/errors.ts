/** A failure that a caller is expected to tell apart from others by `code`. */
export class CodedError<Detail extends { readonly code: string }> extends Error {
  override readonly name: string = "CodedError";
  readonly detail: Detail;

  constructor(message: string, detail: Detail, options?: ErrorOptions) {
    super(message, options);
    this.detail = detail;
  }

  get code(): Detail["code"] {
    return this.detail.code;
  }
}

/** Input from a user that cannot be accepted. The message names the field and the value. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** Text of any thrown value, with the messages of its causes: "Cannot A: b: c". */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : errorMessage(error.cause);
  return cause === "" || error.message.includes(cause)
    ? error.message
    : `${error.message}: ${cause}`;
}
