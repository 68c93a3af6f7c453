import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "@fleetmesh/core";
import { HttpReplicationAdmin } from "@fleetmesh/pulsar";
import { eventText } from "../integration/runtime-harness.ts";
import { adminCall, PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { GeoMeshFixture } from "./geo-mesh-fixture.ts";

const topic = "vehicle.telemetry";
const waiting = { timeout: 60_000, interval: 200 };
const open: { close: () => Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

describe.skipIf(sharedPulsarMissing() !== undefined)(
  "two clusters that let nobody in without a token",
  () => {
    it("replicate with the tokens that the bridge gives them for each other, and a role that is no superuser may say where topics go", async () => {
      const [east, west] = await Promise.all(
        ["cn-east", "cn-west"].map((name) => PulsarServer.start({ name, hasAuth: true })),
      );
      if (east === undefined || west === undefined) throw new Error("two clusters");
      open.push(east, west);
      const pair = { east, west, close: () => Promise.resolve() };
      const mesh = await GeoMeshFixture.open(pair, { topics: [{ topic: ">", to: ["cn-west"] }] });
      open.push(mesh);
      await mesh.east.publish(topic, eventText("1"), eventText("2"));
      await vi.waitFor(async () => expect(await mesh.west.ids(topic)).toEqual(["1", "2"]), waiting);

      const tenant = { adminRoles: ["mesh"], allowedClusters: ["cn-east", "cn-west"] };
      const { status } = await adminCall(east, "POST", {
        path: `tenants/${mesh.tenant}`,
        body: tenant,
      });
      expect(status).toBe(204);
      const token = east.tokenFor({ role: "mesh" });
      const role = new HttpReplicationAdmin({
        ...{ url: east.webUrl, tenant: mesh.tenant, namespace: "mesh", clock: systemClock },
        token: () => Promise.resolve(token),
      });
      open.push(role);
      const address = { adminUrl: west.webUrl, brokerUrl: west.brokerUrl };
      expect(await role.ensureCluster("cn-west", address)).toBe(false);
      expect(await role.ensureHome("cn-east", ["cn-west"])).toBe(false);
      expect(await role.clusters(topic)).toEqual(["cn-east", "cn-west"]);
      expect(await role.replicators(topic)).toMatchObject([
        { cluster: "cn-west", isConnected: true },
      ]);
      await role.setClusters(topic, ["cn-east", "cn-west"]);
      const stranger = new HttpReplicationAdmin({
        ...{ url: east.webUrl, tenant: mesh.tenant, namespace: "mesh", clock: systemClock },
        token: () => Promise.resolve(east.tokenFor({ role: "stranger" })),
      });
      open.push(stranger);
      await expect(stranger.setClusters(topic, [])).rejects.toMatchObject({
        kind: "PULSAR_DENIED",
      });
    });
  },
);
