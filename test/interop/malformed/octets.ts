/** Octets are text in hexadecimal; NN is the number of the row. */

export const localAsn = 64512;
export const externalAsn = 64999;

export const origin = "40010100";
/** AS 64999. */
export const path = "40020602010000fde7";
export const nextHop = "4003040a6301NN";
/** What a good UPDATE of another AS has. */
export const good: string = `${origin}${path}${nextHop}`;
/** And one of ours. */
export const goodInternal: string = `${origin}400200${nextHop}40050400000064`;
export const prefix = "180aNN01";
export const nextHop6 = "10fd000000000000000000000000000001";
export const prefix6 = "40fd0000000000NN00";
export const reach: string = `800e1e000201${nextHop6}00${prefix6}`;
export const unreach: string = `800f0c000201${prefix6}`;

/** The routes that each peer has told before: by their prefixes, and all with MED 1. */
export const told = {
  bad: "10.NN.1.0/24",
  other: "10.NN.2.0/24",
  bad6: "fd00:0:0:NN00::/64",
  /** Told behind the malformed message. */
  later: "10.NN.3.0/24",
} as const;

const med = "80040400000001";
export const firstMessages = (internal: boolean): readonly string[] => {
  const attributes = `${internal ? goodInternal : good}${med}`;
  return [update(attributes, `${prefix}180aNN02`), update(`${reach}${attributes}`, "")];
};
export const laterMessage = (internal: boolean): string =>
  update(internal ? goodInternal : good, "180aNN03");

/** An UPDATE. `attributes` may be what is no list of attributes, as may be the others. */
export function update(attributes: string, nlri: string = prefix, withdrawn = ""): string {
  return message(2, `${hex16(withdrawn)}${withdrawn}${hex16(attributes)}${attributes}${nlri}`);
}

export function message(type: number, body: string): string {
  const header = "ff".repeat(16) + hex16(body, 19);
  return `${header}0${type}${body}`;
}

function hex16(octets: string, more = 0): string {
  return (octets.replaceAll(" ", "").length / 2 + more).toString(16).padStart(4, "0");
}
