import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** What qemu boots: a distribution's kernel, unpacked and never installed. */
export interface VmImage {
  readonly kernel: string;
  readonly initramfs: string;
  /** Holds a folder named after the kernel's version. */
  readonly modules: string;
}

/** What the first program needs before it sees the machine's files. */
const earlyModules = ["virtio_pci", "9p", "9pnet_virtio", "overlay"];

/**
 * The image that `prepareVmImage` has made.
 *
 * @throws {Error} when there is none: every machine can have one.
 */
export function findVmImage(): VmImage {
  const folder = imageFolder();
  if (existsSync(folder)) return imageIn(folder);
  throw new Error(`there is no ${folder}: \`sh tools/setup.sh --test\` makes it`);
}

/** Downloads a kernel with its modules, once for all clones; afterwards it is there at once. */
export function prepareVmImage(): void {
  const folder = imageFolder();
  if (existsSync(folder)) return;
  console.error("setup: unpacking a kernel for the tests in a virtual machine: once");
  mkdirSync(join(folder, ".."), { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    const root = join(fresh, "root");
    unpackKernel(fresh, root);
    const usr = existsSync(join(root, "lib/modules")) ? root : join(root, "usr");
    const [version = ""] = readdirSync(join(usr, "lib/modules"));
    if (usr !== root) symlinkSync("usr/lib", join(root, "lib"));
    run("depmod", ["-b", root, version]);
    makeInitramfs(root, version, fresh);
    renameSync(join(root, `boot/vmlinuz-${version}`), join(fresh, "vmlinuz"));
    renameSync(join(usr, "lib/modules"), join(fresh, "modules"));
    rmSync(root, { recursive: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function imageFolder(): string {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(cache, "tortie", "vm-1");
}

function imageIn(folder: string): VmImage {
  return {
    kernel: join(folder, "vmlinuz"),
    initramfs: join(folder, "initramfs"),
    modules: join(folder, "modules"),
  };
}

/** Package lists may be missing, or name a version that the mirror no longer has. */
function unpackKernel(folder: string, root: string): void {
  try {
    for (const name of kernelPackages()) unpackPackage(name, folder, root);
  } catch {
    run("apt-get", ["-qq", "update"]);
    for (const name of kernelPackages()) unpackPackage(name, folder, root);
  }
}

/** Debian has one package for a kernel, Ubuntu three. */
function kernelPackages(): string[] {
  for (const meta of ["linux-image-amd64", "linux-image-generic"]) {
    const depends = run("sh", ["-c", `apt-cache depends ${meta} 2>/dev/null || true`]);
    const image = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
    if (image === undefined) continue;
    const modules = image.replace("-image-", "-modules-");
    const extra = image.replace("-image-", "-modules-extra-");
    return meta === "linux-image-amd64" ? [image] : [image, modules, extra];
  }
  throw new Error("neither linux-image-amd64 nor linux-image-generic is known to apt-cache");
}

function unpackPackage(name: string, folder: string, root: string): void {
  // As root, apt would hand the download to a user who may not write here.
  run("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", name], folder);
  const [file = ""] = globSync(`${name}_*.deb`, { cwd: folder });
  run("dpkg", ["-x", join(folder, file), root]);
  rmSync(join(folder, file));
}

function makeInitramfs(root: string, version: string, folder: string): void {
  const tree = join(folder, "tree");
  const folders = ["bin", "modules", "proc", "sys", "dev", "root", "lower", "layer"];
  for (const name of folders) mkdirSync(join(tree, name), { recursive: true });
  cpSync("/usr/bin/busybox", join(tree, "bin/busybox"));
  cpSync(join(import.meta.dirname, "init.sh"), join(tree, "init"));
  chmodSync(join(tree, "init"), 0o755);
  const files = new Set(earlyModules.flatMap((name) => filesOfModule(name, root, version)));
  const names = [...files].map((file) => copyModule(file, join(tree, "modules")));
  writeFileSync(join(tree, "modules/list"), `${names.join("\n")}\n`);
  run("sh", ["-c", "find . | cpio --quiet -o -H newc | gzip -1 > ../initramfs"], tree);
  rmSync(tree, { recursive: true });
}

/** The module's file after those that it needs. What is built into the kernel has none. */
function filesOfModule(name: string, root: string, version: string): string[] {
  const shown = run("modprobe", ["-d", root, "-S", version, "--show-depends", name]);
  return [...shown.matchAll(/^insmod (\S+)/gm)].map(([, file = ""]) => file);
}

/** Copies it as busybox can load it: not compressed. Gives its name. */
function copyModule(file: string, folder: string): string {
  const name = basename(file).replace(/\.(xz|zst)$/, "");
  const unpack = file.endsWith(".xz") ? "xz -dc" : file.endsWith(".zst") ? "zstd -dqc" : "cat";
  run("sh", ["-c", `${unpack} "$1" > "$2"`, "sh", file, join(folder, name)]);
  return name;
}

function run(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

if (import.meta.main) prepareVmImage();
