import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventText, soon } from "./door-fixture.ts";
import { Clients, openDoor, type DoorUnderTest } from "./mqtt-fixture.ts";

const isMissing = spawnSync("openssl", ["version"]).status !== 0;
let folder = "";
const clients = new Clients();
let opened: DoorUnderTest | undefined;

afterEach(async () => {
  clients.close();
  await opened?.door.stop(soon());
});

/** A key and a certificate that it signed itself. */
function makeCertificate(): { key: Buffer; cert: Buffer } {
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"];
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    ...["-keyout", keyFile, "-out", certFile, ...subject],
  ]);
  expect(made.status).toBe(0);
  return { key: readFileSync(keyFile), cert: readFileSync(certFile) };
}

describe.skipIf(isMissing)("mqtt door over TLS", () => {
  // Not where the file is read: a run in which all of it is skipped would leave the folder behind.
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "fleetmesh-mqtt-tls-"))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("serves TLS clients under the same bounds, and plain ones not at all", async () => {
    const { key, cert } = makeCertificate();
    opened = await openDoor({ tls: { key, cert }, limits: { connectTimeoutMs: 2_000 } });
    const { door, intake } = opened;
    const client = await clients.connect(door, { protocol: "mqtts", rejectUnauthorized: false });
    await client.publishAsync("events/vehicle.telemetry", eventText("a", 100_000), { qos: 1 });
    expect(intake.eventIds).toEqual(["a"]);
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    client.publish(
      "events/vehicle.telemetry",
      Buffer.alloc(2_000_000),
      { qos: 1 },
      () => undefined,
    );
    await closed;
    const plain = clients.raw(door);
    plain.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await plain.closed;
  });
});
