import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { packTree } from "./pack-tree.ts";
import { findVmImage } from "./vm-image.ts";

const memoryMb = 3072;

/** A program that runs in a virtual machine of its own. */
export interface InVm {
  /** The machine: its standard output is what the program prints. */
  readonly machine: ChildProcess;
  /** Of the program. Rejected with the console's text when the machine ended without one. */
  readonly exitCode: Promise<number>;
}

/**
 * Starts a shell script, in the checkout `root`, in a machine with a distribution's kernel (ipip, wireguard,
 * netem, SCTP) under software emulation, some 15 times slower than this machine. It sees this machine's files;
 * what it writes is lost.
 */
export function spawnInVm(root: string, script: string): InVm {
  const image = findVmImage();
  const out = mkdtempSync(join(tmpdir(), "tt-vm-"));
  const scriptFile = join(out, "script");
  const unpack = packTree(root, join(out, "tree.tar"), "/run/vm-out/tree.tar");
  writeFileSync(scriptFile, `${unpack}cd '${root}'\n${script}\n`);
  const machine = spawn("qemu-system-x86_64", qemuArguments(image, out, scriptFile), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { machine, exitCode: exitCodeOf(machine, out) };
}

function qemuArguments(
  image: ReturnType<typeof findVmImage>,
  out: string,
  scriptFile: string,
): string[] {
  const words = ["console=ttyS0", "quiet", "panic=-1", "mitigations=off", "nokaslr"];
  const commandLine = [...words, `modules=${image.modules}`, `run=${scriptFile}`].join(" ");
  const shared = "local,security_model=none";
  return [
    ...["-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-pku"],
    ...["-smp", `${availableParallelism()}`, "-m", `${memoryMb}`],
    ...["-nographic", "-nodefaults", "-no-reboot"],
    ...["-serial", `file:${join(out, "console")}`, "-serial", "stdio"],
    ...["-kernel", image.kernel, "-initrd", image.initramfs, "-append", commandLine],
    ...["-fsdev", `${shared},id=machine,path=/,readonly=on,multidevs=remap`],
    ...["-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"],
    ...["-fsdev", `${shared},id=out,path=${out}`],
    ...["-device", "virtio-9p-pci,fsdev=out,mount_tag=out"],
  ];
}

async function exitCodeOf(machine: ChildProcess, out: string): Promise<number> {
  try {
    await once(machine, "close");
    const written = join(out, "exit-code");
    if (existsSync(written)) return Number(readFileSync(written, "utf8"));
    throw new Error(
      `the virtual machine has failed: ${readFileSync(join(out, "console"), "utf8")}`,
    );
  } finally {
    rmSync(out, { recursive: true });
  }
}
