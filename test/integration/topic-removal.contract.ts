import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import { afterEach, describe, expect, it, type TestContext } from "vitest";
import { DeliverySink, until } from "./delivery-sink.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.speed";
const path = `/v1/topics/${topic}`;

interface Books {
  readonly difference: number;
  readonly topics: readonly { topic: string; stored: number; trimmed: number; readable: number }[];
  readonly subscriptions: readonly { id: string; delivered: number; pending: number }[];
}

/** What an operator sees who deletes a topic, over a store of any kind. */
export function testTopicRemoval(
  name: string,
  store: (context: TestContext) => Promise<Pick<RuntimeConfigInput, "store">>,
): void {
  describe(`deleting a topic: ${name}`, () => {
    const open: { close: () => Promise<unknown> }[] = [];
    afterEach(async () => {
      for (const each of open.splice(0).reverse()) await each.close();
    });

    const runtime = async (context: TestContext): Promise<RuntimeHarness> => {
      const settings = { ...(await store(context)), autoCreateTopics: false };
      const region = await RuntimeHarness.open(settings);
      open.push(region);
      await until(async () => (await fetch(`${region.url}/readyz`)).ok);
      return region;
    };
    const sinkThat = async (status: () => number): Promise<DeliverySink> => {
      const sink = await new DeliverySink((_, response) =>
        response.writeHead(status()).end(),
      ).start();
      open.push({ close: () => sink.stop() });
      return sink;
    };
    const send = (region: RuntimeHarness, request: string, body?: object) => {
      const [method = "", to = ""] = request.split(" ");
      const headers = { "content-type": "application/json" };
      const init = body === undefined ? {} : { headers, body: JSON.stringify(body) };
      return region.request(to, { method, ...init });
    };
    const json = async <Body>(answer: Promise<Response>): Promise<Body> =>
      (await (await answer).json()) as Body;
    const books = (region: RuntimeHarness) => json<Books>(region.request("/v1/ledger"));
    const subscription = (wanted: string, sink: string) => ({
      ...{ id: "s1", topic: wanted, sink, protocol: "HTTP" },
      delivery: { maxAttempts: 200, backoff: { initialMs: 20, maxMs: 50 } },
    });

    it("refuses while a subscription names it, then takes all of it away, and a new one begins behind", async (context) => {
      const region = await runtime(context);
      const sink = await sinkThat(() => 200);
      await send(region, `PUT ${path}`);
      await send(region, "POST /v1/subscriptions", subscription(topic, sink.url));
      await region.publish(topic, eventText("e1"), eventText("e2"));
      const refused = await json(send(region, `DELETE ${path}`));
      expect(refused).toMatchObject({ status: 409, code: "MESH-5013", subscriptions: ["s1"] });
      await until(() => sink.ids.length === 2);
      await send(region, "DELETE /v1/subscriptions/s1");
      const before = await json<{ next: string }>(region.request(`${path}/events`));

      expect((await send(region, `DELETE ${path}`)).status).toBe(204);
      expect((await send(region, `DELETE ${path}`)).status).toBe(404);
      expect((await region.publish(topic, eventText("e3"))).status).toBe(404);
      expect(await region.ids(topic)).toEqual([]);

      await send(region, `PUT ${path}`);
      expect((await region.publish(topic, eventText("e4"))).status).toBe(200);
      expect(await region.ids(topic)).toEqual(["e4"]);
      const after = await json<{ events: { id: string }[] }>(
        region.request(`${path}/events?after=${before.next}`),
      );
      expect(after.events.map(({ id }) => id)).toEqual(["e4"]);
      const { topics, difference } = await books(region);
      expect(topics).toMatchObject([{ topic, stored: 3, trimmed: 2, readable: 1 }]);
      expect(difference).toBe(0);
    });

    it("lets those who subscribed to it by a pattern have all of it first, and says whom it waits for", async (context) => {
      const region = await runtime(context);
      let status = 503;
      const sink = await sinkThat(() => status);
      await send(region, `PUT ${path}`);
      await send(region, "POST /v1/subscriptions", subscription("vehicle.>", sink.url));
      await region.publish(topic, ...["e1", "e2", "e3"].map((id) => eventText(id)));
      const begun = await send(region, `DELETE ${path}`);
      const waiting = {
        name: topic,
        removing: true,
        waitsFor: expect.stringContaining("s1") as string,
      };
      expect([begun.status, await begun.json()]).toMatchObject([202, waiting]);
      expect(await json(region.request("/v1/topics"))).toMatchObject({ topics: [waiting] });
      const late = await json(region.publish(topic, eventText("e4")));
      expect(late).toMatchObject({ status: 404, code: "MESH-5002" });

      status = 200;
      const removed = async () =>
        (await json<{ topics: object[] }>(region.request("/v1/topics"))).topics;
      await until(async () => (await removed()).length === 0);
      expect(new Set(sink.ids)).toEqual(new Set(["e1", "e2", "e3"]));
      expect(await books(region)).toMatchObject({
        difference: 0,
        subscriptions: [{ id: "s1", delivered: 3, pending: 0 }],
      });

      await region.stop();
      await region.start();
      await until(async () => (await fetch(`${region.url}/readyz`)).ok);
      await send(region, `PUT ${path}`);
      await region.publish(topic, eventText("e5"));
      await until(() => sink.ids.includes("e5"));
      const { difference, subscriptions } = await books(region);
      expect([difference, subscriptions]).toMatchObject([0, [{ delivered: 4, pending: 0 }]]);
    });

    it("is an operator's to do", async (context) => {
      const region = await runtime(context);
      await send(region, `PUT ${path}`);
      const all = { publish: [">"], subscribe: [">"] };
      expect((await region.request(path, { method: "DELETE" }, all)).status).toBe(403);
      expect(await json(region.request("/v1/topics"))).toMatchObject({ topics: [{ name: topic }] });
    });
  });
}
