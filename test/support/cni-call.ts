import assert from "node:assert/strict";
import { type AddCall, parseCall } from "../../src/cni/call.ts";
import type { CniCall } from "../../src/cni/protocol.ts";

/** A call that is an ADD. */
export function parseAdd(call: CniCall): AddCall {
  const parsed = parseCall(call);
  assert.ok(parsed.command === "ADD");
  return parsed;
}
