/** A net by its bits, apart from the code under test. */
export class Net {
  readonly #bits: string;
  readonly #v6: boolean;

  constructor(text: string) {
    const [address = "", length] = text.split("/");
    this.#v6 = address.includes(":");
    const all = bitsOf(address);
    this.#bits = all.slice(0, length === undefined ? all.length : Number(length));
  }

  has(address: string): boolean {
    return address.includes(":") === this.#v6 && bitsOf(address).startsWith(this.#bits);
  }
}

const knownBits = new Map<string, string>();

/** An address as a string of 0 and 1. */
function bitsOf(address: string): string {
  const known = knownBits.get(address);
  if (known !== undefined) return known;
  const bits = address.includes(":")
    ? groupsOf(address).map((group) => binary(Number.parseInt(group, 16), 16))
    : address.split(".").map((octet) => binary(Number(octet), 8));
  knownBits.set(address, bits.join(""));
  return bits.join("");
}

function groupsOf(address: string): string[] {
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array.from({ length: missing }, () => "0"), ...right];
}

function binary(value: number, width: number): string {
  return value.toString(2).padStart(width, "0");
}
