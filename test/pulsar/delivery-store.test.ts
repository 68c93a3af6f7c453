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
  testDeliveryStoreContract("pulsar (binary protocol)", () => {
    const server = inject("pulsar");
    if ("missing" in server) throw new Error(server.missing);
    return openPulsarServerDeliveries(server);
  });
