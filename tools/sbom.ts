import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Prints what an image is made of, as CycloneDX 1.5: the npm packages of package-lock.json that are installed, and
 * the Debian packages of this machine. deploy/image/Dockerfile keeps it at /opt/tortie/sbom.cdx.json.
 *
 * Usage: node tools/sbom.ts [FOLDER]   (default: this source)
 */

interface Component {
  readonly type: "application" | "library";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  /** "sha512-" and base64. */
  readonly integrity?: string;
}

const folder = process.argv[2] ?? join(import.meta.dirname, "..");
const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
  readonly name: string;
  readonly version: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
};
const { name, version } = lock;
const document = {
  bomFormat: "CycloneDX",
  specVersion: "1.5",
  version: 1,
  metadata: {
    component: { type: "application", name, version, purl: `pkg:npm/${name}@${version}` },
  },
  components: [...npmComponents(lock.packages), ...debianComponents()],
};
process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);

function npmComponents(packages: Readonly<Record<string, LockedPackage>>): Component[] {
  return Object.entries(packages).flatMap(([path, { version: locked, dev, integrity }]) => {
    const at = path.lastIndexOf("node_modules/");
    if (at < 0 || dev === true || locked === undefined) return [];
    // Of another processor's.
    if (!existsSync(join(folder, path))) return [];
    const module = path.slice(at + "node_modules/".length);
    const hash = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
    return [
      {
        type: "library" as const,
        name: module,
        version: locked,
        purl: `pkg:npm/${module.replace("@", "%40")}@${locked}`,
        ...(hash === undefined
          ? {}
          : {
              hashes: [
                {
                  alg: "SHA-512" as const,
                  content: Buffer.from(hash, "base64").toString("hex"),
                },
              ],
            }),
      },
    ];
  });
}

function debianComponents(): Component[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the format of dpkg-query
  const format = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n";
  const rows = execFileSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8" });
  return rows.split("\n").flatMap((row) => {
    const [status = "", debian = "", debianVersion = "", architecture = ""] = row.split("\t");
    if (!status.startsWith("ii")) return [];
    const purl = `pkg:deb/debian/${debian}@${encodeURIComponent(debianVersion)}?arch=${architecture}`;
    return [{ type: "library" as const, name: debian, version: debianVersion, purl }];
  });
}
