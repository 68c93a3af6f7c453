import { describe, inject, it } from "vitest";
import { testDeliveryStoreContract } from "../contract/delivery-store.contract.ts";
import { openPulsarServerDeliveries } from "../contract/pulsar-fixtures.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const missing = sharedPulsarMissing();

if (missing !== undefined)
  describe("DeliveryStore contract: pulsar", () => {
    it.skip(missing);
  });
else
  for (const client of ["binary", "websocket"] as const)
    testDeliveryStoreContract(`pulsar (${client})`, () => {
      const server = inject("pulsar");
      if ("missing" in server) throw new Error(server.missing);
      return openPulsarServerDeliveries(server, { client });
    });
