/** Error codes of the CNI specification ("Error"), and ours from 100 on. */
export const cniCodes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  environment: 4,
  io: 5,
  decoding: 6,
  invalidConfig: 7,
  tryAgain: 11,
  /** Answer to STATUS: an ADD would fail. */
  unavailable: 50,
  internal: 100,
  ipam: 101,
  network: 102,
} as const;

/** A failure as a runtime sees it: the JSON object that a plugin prints. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly cniCode: number;
  readonly details: string;

  constructor(cniCode: number, message: string, details = "", options?: ErrorOptions) {
    super(message, options);
    this.cniCode = cniCode;
    this.details = details;
  }
}

export function errorObject(error: CniError, cniVersion: string): object {
  return { cniVersion, code: error.cniCode, msg: error.message, details: error.details };
}
