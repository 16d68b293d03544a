import { getSystemErrorMap } from "node:util";
import { CodedError } from "../../lib/errors.ts";

export interface NetlinkFailure {
  readonly code: "netlink";
  /** Positive, as in errno.h. */
  readonly errno: number;
}

/** The kernel refused a request. */
export class NetlinkError extends CodedError<NetlinkFailure> {
  override readonly name = "NetlinkError";

  get errno(): number {
    return this.detail.errno;
  }
}

/** True for a refusal with one of these numbers. */
export function isErrno(error: unknown, ...numbers: readonly number[]): boolean {
  return error instanceof NetlinkError && numbers.includes(error.errno);
}

/** "no such device", "file already exists"; the number when it has no words. */
export function errnoText(code: number): string {
  return getSystemErrorMap().get(-code)?.[1] ?? `errno ${code}`;
}

export function systemError(
  what: string,
  code: number,
  words: string = errnoText(code),
): NetlinkError {
  return new NetlinkError(`${what}: ${words}`, { code: "netlink", errno: code });
}
