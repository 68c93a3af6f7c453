import { systemChance, systemClock } from "@fleetmesh/core";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  WebSocketPulsarClient,
  type PulsarClient,
} from "@fleetmesh/pulsar";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  eventually,
  limits,
  messageOf,
  read,
  textOf,
  topic,
  whole,
} from "../contract/pulsar-client-probe.ts";
import { adminCall, PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const at = { tenant: "bus", namespace: "mesh", clock: systemClock, chance: systemChance };
const denied = { kind: "PULSAR_DENIED" };
const expired = { kind: "PULSAR_TOKEN_EXPIRED" };

describe.skipIf(sharedPulsarMissing() !== undefined)("a Pulsar that asks who one is", () => {
  let server: PulsarServer;
  let admin: HttpPulsarAdmin;
  const clients: PulsarClient[] = [];
  const tokenOf = (role: string, lifeSeconds?: number): string =>
    server.tokenFor({ role, ...(lifeSeconds === undefined ? {} : { lifeSeconds }) });
  const clientOf = (token?: () => Promise<string>): BinaryPulsarClient => {
    const client = new BinaryPulsarClient({ url: server.brokerUrl, ...at, token });
    clients.push(client);
    return client;
  };
  const adminOf = (token: string): HttpPulsarAdmin =>
    new HttpPulsarAdmin({ url: server.webUrl, ...at, token: () => Promise.resolve(token) });

  beforeAll(async () => {
    const settings = { authenticationRefreshCheckSeconds: 1 };
    server = await PulsarServer.start({ name: "cn-east", hasAuth: true, settings });
    admin = adminOf(tokenOf("admin"));
    await admin.ensureNamespace(["cn-east"]);
    for (const name of [topic, "over.sockets"]) await admin.ensureTopic(name, {});
    const grant = { path: "namespaces/bus/mesh/permissions/app", body: ["produce", "consume"] };
    expect((await adminCall(server, "POST", grant)).status).toBe(204);
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((each) => each.stop(AbortSignal.timeout(5_000))));
  });
  afterAll(async () => {
    await admin.close();
    await server.close();
  });

  it("refuses a client without a token, with a wrong one and with an old one at once", async () => {
    const old = tokenOf("app", -60);
    for (const token of [undefined, () => Promise.resolve("e30.e30.e30")])
      await expect(clientOf(token).start()).rejects.toMatchObject(denied);
    await expect(clientOf(() => Promise.resolve(old)).start()).rejects.toMatchObject(expired);
  });

  it("lets in who has the permission, and names the one that is missing to who has not", async () => {
    const app = clientOf(() => Promise.resolve(tokenOf("app")));
    await app.start();
    const producer = await app.producer(topic, limits);
    await producer.send(messageOf("allowed"));
    expect((await read(await app.reader(topic, whole), 1)).map(textOf)).toEqual(["allowed"]);
    const stranger = clientOf(() => Promise.resolve(tokenOf("stranger")));
    await stranger.start();
    for (const act of [
      stranger.producer(topic, limits),
      stranger.reader(topic, whole),
      stranger.fence(topic, "n"),
    ])
      await expect(act).rejects.toMatchObject({
        ...denied,
        message: expect.stringContaining("permission") as string,
      });
  });

  it("knows a client of the WebSocket API by its header, and refuses it alike", async () => {
    const socketOf = (token?: () => Promise<string>): PulsarClient => {
      const client = new WebSocketPulsarClient({ url: server.wsUrl, ...at, token });
      clients.push(client);
      return client;
    };
    const app = socketOf(() => Promise.resolve(tokenOf("app")));
    await app.start();
    const producer = await app.producer("over.sockets", limits);
    await producer.send(messageOf("allowed"));
    expect((await read(await app.reader("over.sockets", whole), 1)).map(textOf)).toEqual([
      "allowed",
    ]);
    await app.fence("over.sockets", "n");
    for (const [token, kind] of [
      [undefined, denied],
      [() => Promise.resolve(tokenOf("app", -60)), expired],
      [() => Promise.resolve(tokenOf("stranger")), denied],
    ] as const) {
      const other = socketOf(token);
      await other.start();
      for (const act of [
        () => other.producer("over.sockets", limits),
        () => other.reader("over.sockets", whole),
        () => other.fence("over.sockets", "m"),
      ])
        await expect(act()).rejects.toMatchObject({
          ...kind,
          message: expect.stringContaining("permission") as string,
        });
    }
  });

  it("asks for a fresh token before the old one ends, and the connection lives on", async () => {
    let given = 0;
    const client = clientOf(() => {
      given += 1;
      return Promise.resolve(tokenOf("app", 4));
    });
    await client.start();
    const producer = await client.producer(topic, limits);
    const givenBefore = given;
    await expect.poll(() => given, { timeout: 30_000 }).toBeGreaterThan(givenBefore);
    await producer.send(messageOf("still here"));
  });

  it("ends a producer whose token cannot be renewed; a new token lets it in again", async () => {
    let token = tokenOf("app", 2);
    const client = clientOf(() => Promise.resolve(token));
    await client.start();
    const producer = await client.producer(topic, limits);
    expect(await producer.ended).toMatchObject({ name: "MeshError" });
    await expect(client.producer(topic, limits)).rejects.toMatchObject(expired);
    token = tokenOf("app");
    const next = await eventually(() => client.producer(topic, limits));
    await next.send(messageOf("again"));
  });

  it("lets only an administrator administer, and names the role that it takes", async () => {
    const stranger = adminOf(tokenOf("app"));
    const refusal = {
      ...denied,
      message: expect.stringContaining('administrator of the tenant "bus"') as string,
    };
    await expect(stranger.ensureTopic("other", {})).rejects.toMatchObject(refusal);
    await expect(stranger.ensureNamespace(["cn-east"])).rejects.toMatchObject(refusal);
    await expect(stranger.deleteTopic(topic)).rejects.toMatchObject(refusal);
    expect(await stranger.lastMessageId(topic)).toBeDefined();
    const nobody = adminOf("e30.e30.e30");
    await expect(nobody.isHealthy()).rejects.toMatchObject(denied);
    await Promise.all([stranger.close(), nobody.close()]);
  });
});
