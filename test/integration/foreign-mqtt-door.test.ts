import { execFile, spawn, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { MeshError } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventText, soon, until } from "../../door/test/door-fixture.ts";
import { openDoor, type DoorUnderTest } from "../../door/test/mqtt-fixture.ts";

const run = promisify(execFile);
// mosquitto_pub --help ends with 1; only a missing program gives an error.
const isMissing = spawnSync("mosquitto_pub", ["--help"]).error !== undefined;
if (isMissing && process.env["CI"] === "true") {
  throw new Error("mosquitto_pub is not here: apt-get install -y mosquitto-clients");
}
const reason = isMissing ? " (skipped: the package mosquitto-clients is not installed)" : "";

let opened: DoorUnderTest;
beforeEach(async () => {
  opened = await openDoor();
});
afterEach(async () => {
  await opened.door.stop(soon());
});

const login = (password = "any"): string[] => [
  ...["-h", "127.0.0.1", "-p", String(opened.door.port)],
  ...["-u", "somebody", "-P", password],
];

function publish(topic: string, payload: string, more: readonly string[] = []) {
  return run("mosquitto_pub", [...login(), "-t", topic, "-m", payload, ...more], {
    timeout: 10_000,
  });
}

async function failureOf(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => new Error("it succeeded"),
    (thrown: unknown) => thrown,
  );
  return error instanceof Error ? error.message : String(error);
}

describe.skipIf(isMissing)(`mosquitto's clients at the MQTT door${reason}`, () => {
  it.each(["0", "1", "2"])("publish a structured event at QoS %s", async (qos) => {
    await publish("events/vehicle.telemetry", eventText("a"), ["-q", qos]);
    await opened.intake.called(1);
    expect(opened.intake.eventIds).toEqual(["a"]);
  });

  it("publish a line each, in order, with a last will and a kept session", async () => {
    const args = [...login(), "-t", "events/vehicle.telemetry", "-q", "1", "-l", "-i", "gateway"];
    const child = spawn("mosquitto_pub", [...args, "-c"]);
    const ids = Array.from({ length: 500 }, (_, at) => `e${at}`);
    child.stdin.end(ids.map((id) => `${eventText(id)}\n`).join(""));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(0);
    expect(opened.intake.eventIds).toEqual(ids);
  });

  it("are told of a bad token, and of MQTT 5 as a version that is not spoken", async () => {
    const bad = run("mosquitto_pub", [...login("guess"), "-t", "events/a", "-m", "x", "-q", "1"]);
    expect(await failureOf(bad)).toMatch(/bad user name or password|not authorised/i);
    const five = publish("events/a", eventText("a"), ["-V", "mqttv5", "-q", "1"]);
    expect(await failureOf(five)).toMatch(/protocol|refused/i);
  });

  it("send again what was not acknowledged, and it is stored once the disk is well", async () => {
    opened.intake.failure = new MeshError("BUFFER_UNAVAILABLE", "read-only");
    const args = [...login(), "-t", "events/vehicle.telemetry", "-m", eventText("a"), "-q", "1"];
    const child = spawn("mosquitto_pub", args);
    const exit = new Promise((resolve) => child.once("close", resolve));
    await until(() => opened.door.connectionCount > 0 || child.exitCode !== null);
    await new Promise((resolve) => setTimeout(resolve, 200));
    opened.intake.failure = undefined;
    const code = await exit;
    // The client either resends (and is acknowledged) or gives up with an error: it must never believe in a lost event.
    expect(code === 0 ? opened.intake.eventIds : ["a"]).toContain("a");
  });

  it("receive what the process sends down", async () => {
    const args = [...login(), "-t", "commands/car-1", "-q", "1", "-C", "1", "-i", "car-1"];
    const received = run("mosquitto_sub", args, { timeout: 10_000 });
    await until(() => opened.told.includes("car-1 > commands/car-1"));
    await opened.door.publishTo("commands/car-1", Buffer.from("unlock"));
    expect((await received).stdout.trim()).toBe("unlock");
  });
});
