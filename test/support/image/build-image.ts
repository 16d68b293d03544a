import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../lab.ts";
import type { Podman } from "../runtimes/podman.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const base = "localhost/debian:12-slim";

/**
 * Builds the image of this source with deploy/image/build.sh, on a Debian that mmdebstrap makes as long as
 * there is none in build/image. Needs Debian's mirror and npm's registry.
 */
export async function buildImage(podman: Podman, name: string): Promise<void> {
  await podman.must("import", baseArchive(), base);
  const { code, stdout, stderr } = await run("sh", [join(root, "deploy/image/build.sh"), name], {
    env: {
      ...podman.env,
      BASE: base,
      // Layers are whole copies in the storage of tests: none is kept but those of the image.
      BUILD_OPTIONS: "--network host --isolation chroot --layers=false",
    },
    timeoutMs: 1_200_000,
  });
  if (code !== 0) throw new Error(`deploy/image/build.sh: exit ${code}\n${stdout}${stderr}`);
}

/** As slim as Docker's debian:12-slim. */
function baseArchive(): string {
  const folder = join(root, "build/image");
  const file = join(folder, "debian-12-slim.tar");
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const fresh = join(folder, `${process.pid}.tar`);
  const certificates = "/etc/ssl/certs/ca-certificates.crt";
  const left = ["doc", "info", "locale", "man"].map(
    (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
  );
  execFileSync(
    "mmdebstrap",
    [
      ...["--variant=minbase", "--include=ca-certificates", ...left],
      // A proxy of one's own may stand before the registries.
      ...(existsSync(certificates)
        ? [`--customize-hook=copy-in ${certificates} /etc/ssl/certs`]
        : []),
      ...["bookworm", fresh, "http://deb.debian.org/debian"],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  renameSync(fresh, file);
  return file;
}
