import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";

/** What is wrong with the speaker's file, and where. */
export interface Problem {
  readonly line: number;
  /** "neighbors[1].asn"; empty: the file as a whole. */
  readonly field: string;
  readonly what: string;
  /** The value as it is written; absent where there is none. */
  readonly value?: string;
}

/** "speaker.yaml:7: neighbors[1].asn: must be 1 to 4294967294 (0)". */
export function problemText(file: string, { line, field, what, value }: Problem): string {
  const where = field === "" ? "" : ` ${field}:`;
  return `${file}:${line}:${where} ${what}${value === undefined ? "" : ` (${value})`}`;
}

const longestValue = 60;

interface Source {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly problems: Problem[];
}

/** A value of the file: knows its line and its field, and collects what is wrong with it. */
export class Place {
  readonly node: Node | null;
  readonly field: string;
  readonly line: number;
  readonly #source: Source;

  constructor(source: Source, at: { node: Node | null; field: string; line: number }) {
    this.#source = source;
    this.field = at.field;
    this.node = isAlias(at.node) ? resolved(at.node, source.document) : at.node;
    this.line = lineOf(at.node, source.lines) ?? at.line;
  }

  /** Text of a scalar as it is written, without quotes; undefined for a list, a map and nothing. */
  get text(): string | undefined {
    if (!isScalar(this.node) || this.node.value === null) return undefined;
    return this.node.source ?? String(this.node.value);
  }

  /**
   * Notes a mistake, with the value as it is written; null: without. Gives undefined, to be returned
   * for the value that there is not.
   */
  wrong(what: string, value: string | null | undefined = this.text): undefined {
    const { problems } = this.#source;
    problems.push({ line: this.line, field: this.field, what, ...shown(value) });
    return undefined;
  }

  /** The entries of a map, with what their keys are; undefined for anything else. */
  entries(): readonly { readonly key: string; readonly value: Place }[] | undefined {
    if (!isMap(this.node)) return undefined;
    return this.node.items.map((pair) => {
      const key = keyText(pair);
      const line = lineOf(pair.key as Node, this.#source.lines) ?? this.line;
      const field = this.field === "" ? key : `${this.field}.${key}`;
      return { key, value: this.#at(pair.value as Node | null, field, line) };
    });
  }

  item(node: Node, index: number): Place {
    return this.#at(node, `${this.field}[${index}]`, this.line);
  }

  #at(node: Node | null, field: string, line: number): Place {
    return new Place(this.#source, { node, field, line });
  }
}

/** The whole file. Mistakes of YAML itself are in `problems` at once. */
export function openYaml(text: string, problems: Problem[]): Place {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  for (const { pos, message } of document.errors) {
    problems.push({ line: lines.linePos(pos[0]).line, field: "", what: message });
  }
  return new Place({ document, lines, problems }, { node: document.contents, field: "", line: 1 });
}

function resolved(alias: Alias, document: Document): Node | null {
  return (alias.resolve(document) as Node | undefined) ?? null;
}

function lineOf(node: Node | null, lines: LineCounter): number | undefined {
  const start = node?.range?.[0];
  return start === undefined ? undefined : lines.linePos(start).line;
}

function keyText({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function shown(value: string | null | undefined): { readonly value?: string } {
  if (value === undefined || value === null) return {};
  const clean = value.replaceAll(/\p{Cc}/gu, " ");
  return { value: clean.length > longestValue ? `${clean.slice(0, longestValue)}...` : clean };
}
