import { type Parameter, variableOf } from "../src/felix/config/parameter.ts";
import { sections } from "../src/felix/config/parameters.ts";

const head = `# Felix' configuration

Written by \`node tools/generate-felix-config.ts\` from the tables in \`src/felix/config/\`.

Every parameter of Calico's Felix. A value comes from, the last one wins: the default, FelixConfiguration \`default\`,
the FelixConfiguration whose \`nodeSelector\` selects the node, FelixConfiguration \`node.NAME\`, the file
\`/etc/calico/felix.cfg\` (or \`TORTIE_FELIX_CFG\`; lines like \`Name = value\`; it is read when the process begins), the environment
(\`FELIX_\` and the name in capitals, or what the table says; any case of letters; the file has these names without \`FELIX_\`).
Durations are like \`90s\` or \`1m30s\`; a plain number counts seconds, or what the table says. \`none\` switches off what can be off. An empty value counts as not given.

A change acts in the running process: felix puts what it has calculated anew into the kernel, which changes only
what differs.

A wrong value is logged and the default acts; of parameters marked "required" it stops felix, as it does Calico's.
What is given and nothing acts on is named in felix' log, and to who applies it.

"Acts" names the test that fails when the parameter has no effect. "Ignored" says why.
`;

/** docs/felix-config.md, whole. */
export function felixConfigDocument(): string {
  const tables = Object.entries(sections).map(([title, table]) =>
    [
      `## ${title}`,
      "",
      "| parameter | values | default | |",
      "|---|---|---|---|",
      ...Object.entries(table).map(([name, parameter]) => row(name, parameter)),
      "",
    ].join("\n"),
  );
  return [head, ...tables].join("\n");
}

function row(name: string, parameter: Parameter): string {
  const { type, default: fallback, options } = parameter;
  const remarks = [
    options.local === true ? `only \`FELIX_${variableOf(name, parameter)}\`` : "",
    options.variable === undefined ? "" : `\`FELIX_${variableOf(name, parameter)}\``,
    options.required === true ? "required" : "",
    options.note ?? "",
  ].filter((remark) => remark !== "");
  const values = [type.values, ...remarks].join("; ");
  const shown = fallback === "" ? "" : `\`${escaped(fallback)}\``;
  return `| ${name} | ${escaped(values)} | ${shown} | ${escaped(fate(parameter))} |`;
}

function fate({ acts, ignored = "" }: Parameter): string {
  return acts === undefined ? `ignored: ${ignored}` : `acts: \`${acts}\``;
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}
