import { InputError } from "../../lib/errors.ts";
import { type IpAddr, isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";

/** @throws {InputError} that names where the address was given. */
export function requireAddress(text: string | undefined, where: string): IpAddr {
  if (text === undefined) throw new InputError(`Cannot go on without ${where}`);
  if (!isIpAddr(text))
    throw new InputError(`Cannot accept ${where} "${text}": it is no IP address`);
  return parseIpAddr(text);
}
