/** Versions of the CNI specification that we speak, oldest first. shim/shim.c prints the same. */
export const supportedVersions = [
  "0.1.0",
  "0.2.0",
  "0.3.0",
  "0.3.1",
  "0.4.0",
  "1.0.0",
  "1.1.0",
] as const;

export type CniVersion = (typeof supportedVersions)[number];

export function isCniVersion(text: string): text is CniVersion {
  return (supportedVersions as readonly string[]).includes(text);
}

/** True when `version` has what came with `first`. */
export function isSince(version: CniVersion, first: CniVersion): boolean {
  return supportedVersions.indexOf(version) >= supportedVersions.indexOf(first);
}

export type CniCommand = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS";

/** The version that each command came with: a configuration of an earlier one does not know it. */
export const commandSince: Readonly<Record<CniCommand, CniVersion>> = {
  ADD: "0.1.0",
  DEL: "0.1.0",
  CHECK: "0.4.0",
  GC: "1.1.0",
  STATUS: "1.1.0",
};
