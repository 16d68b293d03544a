import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

/*
 * A container image without a registry: OCI layout and the manifest of `docker save` in one tar, which
 * containerd and podman both load. It holds Debian's static busybox, and sleeps unless told otherwise:
 * so it is the pods' pause image, too.
 */

const busybox = "/bin/busybox";
const applets = ["sh", "sleep", "ping", "ping6", "ip", "nc", "httpd", "nslookup", "cat", "true"];
const folders = ["bin/", "etc/", "proc/", "sys/", "dev/", "tmp/", "var/"];

/** The name that `writeBusyboxImage` gives its image. */
export const busyboxImage = "localhost/busybox:1";

/** Writes the image as a tar file. */
export function writeBusyboxImage(file: string): void {
  const layer = tar([
    ...folders.map((path) => entry(path, { type: "5", mode: 0o755 })),
    entry("etc/passwd", { content: Buffer.from("root:x:0:0:root:/:/bin/sh\n") }),
    entry("bin/busybox", { content: readFileSync(busybox), mode: 0o755 }),
    ...applets.map((name) => entry(`bin/${name}`, { type: "2", link: "busybox" })),
  ]);
  const config = json({
    architecture: { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch,
    os: "linux",
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/sleep", "2147483647"], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
  });
  const annotations = { "io.containerd.image.name": busyboxImage };
  const index = json({
    schemaVersion: 2,
    manifests: [
      { ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest), annotations },
    ],
  });
  const blob = (content: Buffer) => `blobs/sha256/${sha256(content)}`;
  const docker = json([{ Config: blob(config), RepoTags: [busyboxImage], Layers: [blob(layer)] }]);
  writeFileSync(
    file,
    tar([
      entry("oci-layout", { content: json({ imageLayoutVersion: "1.0.0" }) }),
      entry("index.json", { content: index }),
      entry("manifest.json", { content: docker }),
      ...[manifest, config, layer].map((content) => entry(blob(content), { content })),
    ]),
  );
}

function descriptor(mediaType: string, content: Buffer): object {
  return { mediaType, digest: `sha256:${sha256(content)}`, size: content.length };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function tar(entries: readonly Buffer[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

interface TarEntry {
  /** "0" file, "2" symbolic link, "5" folder. */
  readonly type?: "0" | "2" | "5";
  readonly mode?: number;
  readonly link?: string;
  readonly content?: Buffer;
}

/** One member: header of 512 octets (POSIX ustar) and padded content. */
function entry(path: string, { type = "0", mode = 0o644, link = "", content }: TarEntry): Buffer {
  const data = content ?? Buffer.alloc(0);
  const header = Buffer.alloc(512);
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0");
  const fields: readonly (readonly [offset: number, text: string])[] = [
    [0, path],
    [100, octal(mode, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(data.length, 12)],
    [136, octal(0, 12)],
    [148, "        "],
    [156, type],
    [157, link],
    [257, "ustar\0" + "00"],
  ];
  for (const [offset, text] of fields) header.write(text, offset, "latin1");
  const sum = header.reduce((total, octet) => total + octet, 0);
  header.write(`${octal(sum, 7)}\0 `, 148, "latin1");
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
