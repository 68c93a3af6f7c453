import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient, HttpPulsarAdmin } from "@fleetmesh/pulsar";
import { afterEach, describe, expect, it } from "vitest";
import { limits } from "../contract/pulsar-client-probe.ts";
import { until } from "../integration/delivery-sink.ts";
import { eventText, RuntimeHarness } from "../integration/runtime-harness.ts";
import { testTopicRemoval } from "../integration/topic-removal.contract.ts";
import { sharedPulsar } from "../servers/shared-pulsar.ts";
import { pulsarStoreConfig } from "./pulsar-store-config.ts";

for (const client of ["binary", "websocket"] as const)
  testTopicRemoval(`pulsar, ${client}`, async (context) => ({
    store: pulsarStoreConfig(await sharedPulsar(context), client),
  }));

describe("deleting a topic in a Pulsar that others use, too", () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  it("waits for another producer of the topic, then leaves nothing of it in Pulsar", async (context) => {
    const room = await sharedPulsar(context);
    const region = await RuntimeHarness.open({ store: pulsarStoreConfig(room) });
    open.push(region);
    await until(async () => (await fetch(`${region.url}/readyz`)).ok);
    await region.publish("vehicle.speed", eventText("e1"));
    const [tenant = "", namespace = ""] = room.namespace.split("/");
    const { brokerUrl, webUrl, token } = room.server;
    const place = { tenant, namespace, clock: systemClock, chance: systemChance };
    const access = token === undefined ? {} : { token: () => Promise.resolve(token) };
    const admin = new HttpPulsarAdmin({ url: webUrl, ...place, ...access });
    open.push(admin);
    const client = new BinaryPulsarClient({ url: brokerUrl, ...place, ...access });
    open.push({ close: () => client.stop(AbortSignal.timeout(5_000)) });
    const foreign = await client.producer("vehicle.speed", limits);

    const path = "/v1/topics/vehicle.speed";
    const answer = await region.request(path, { method: "DELETE" });
    const { waitsFor } = (await answer.json()) as { waitsFor: string };
    expect([answer.status, waitsFor]).toEqual([202, expect.stringContaining("1 connected")]);
    expect(await admin.topics()).toContain("vehicle.speed");

    await foreign.close();
    const listed = async () =>
      ((await (await region.request("/v1/topics")).json()) as { topics: object[] }).topics;
    await until(async () => (await listed()).length === 0);
    expect(await admin.topics()).not.toContain("vehicle.speed");
  });
});
