import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsPaths } from "./etcd-server.ts";

const newKey = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes an authority in `folder`. @returns the path of its certificate. */
export function makeAuthority(folder: string, name: string): string {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  openssl(
    ...newKey,
    "-x509",
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    key,
    "-out",
    certificate,
  );
  return certificate;
}

/** Makes a certificate for 127.0.0.1, for a server and a client alike, signed by `ca`. */
export function makeCertificate(folder: string, name: string, ca: string): TlsPaths {
  const path = (suffix: string) => join(folder, `${name}.${suffix}`);
  const [key, certificate, request, extensions] = [
    path("key"),
    path("crt"),
    path("csr"),
    path("ext"),
  ];
  writeFileSync(
    extensions,
    "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
  );
  openssl(...newKey, "-subj", `/CN=${name}`, "-keyout", key, "-out", request);
  const signer = ["-CA", ca, "-CAkey", ca.replace(/crt$/, "key"), "-CAcreateserial", "-days", "2"];
  openssl("x509", "-req", "-in", request, "-extfile", extensions, ...signer, "-out", certificate);
  return { ca, certificate, key };
}

function openssl(...words: readonly string[]): void {
  execFileSync("openssl", words, { stdio: ["ignore", "ignore", "pipe"] });
}
