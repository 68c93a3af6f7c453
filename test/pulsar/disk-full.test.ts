import { expect, onTestFinished, test } from "vitest";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { readMessages, SocketProducer } from "../servers/pulsar-socket.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { SmallDisk, smallDiskMissing } from "../servers/small-disk.ts";

const missing = sharedPulsarMissing() ?? smallDiskMissing();
const mebibyte = 2 ** 20;

/** Of a disk in real use: read-only before it is full. Without a reserve a bookie was seen to lose what it had acknowledged. */
const reserve = {
  diskUsageThreshold: 0.9,
  diskUsageWarnThreshold: 0.9,
  diskUsageLwmThreshold: 0.9,
  diskCheckInterval: 500,
};

test("a Pulsar whose disk is full acknowledges nothing, keeps what it has, and goes on when there is room", async (context) => {
  if (missing !== undefined) context.skip(missing);
  const disk = await SmallDisk.mount(300);
  // What is registered last is undone first.
  onTestFinished(() => disk.unmount());
  const dir = `${disk.dir}/pulsar`;
  const server = await PulsarServer.start({ name: "cn-east", dir, settings: reserve });
  onTestFinished(() => server.close());
  const topic = `${await freshNamespace(server)}/telemetry`;
  const before = Array.from({ length: 20 }, (_, index) => `event-${index}`);
  const producer = await SocketProducer.open(server, topic);
  await Promise.all(before.map((text) => producer.send(text)));

  await disk.fill(15 * mebibyte);
  await expect.poll(() => server.log(40_000), { timeout: 30_000 }).toContain("ReadOnly mode");
  let acknowledged = 0;
  const refused = producer.send("refused").then(
    () => acknowledged++,
    () => undefined,
  );
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  producer.close();
  await refused;
  expect(acknowledged).toBe(0);

  await disk.relieve();
  await expect.poll(() => isTaken(server, topic), { timeout: 60_000 }).toBe(true);
  const found = (await readMessages(server, topic, 21)).map(({ payload }) => payload);
  expect(found.slice(0, 20)).toEqual(before);
});

/** Whether a message is acknowledged within a moment, over a connection of its own. */
async function isTaken(server: PulsarServer, topic: string): Promise<boolean> {
  const late = AbortSignal.timeout(5_000);
  const tooLate = new Promise<boolean>((resolve) => {
    late.addEventListener("abort", () => resolve(false));
  });
  const attempt = async () => {
    const producer = await SocketProducer.open(server, topic);
    late.addEventListener("abort", () => producer.close());
    await producer.send("after");
    producer.close();
    return true;
  };
  return Promise.race([attempt().catch(() => false), tooLate]);
}
