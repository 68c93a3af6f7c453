import { testDeliveryStoreContract } from "./delivery-store.contract.ts";
import { memoryFixture, sqliteFixture } from "./store-fixtures.ts";

testDeliveryStoreContract("memory", memoryFixture.deliveries);
testDeliveryStoreContract("sqlite", sqliteFixture.deliveries);
