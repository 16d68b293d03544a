import type { Resource } from "../meta.ts";

/**
 * Facts appendix A. Named "default", "node.<name>", or any name with `nodeSelector`. The fields
 * that we act on are typed where they are read (felix/config/felix-config.ts): every one is optional.
 */
export type FelixConfigurationSpec = Readonly<Record<string, unknown>>;
export type FelixConfiguration = Resource<"FelixConfiguration", FelixConfigurationSpec>;
