import { testDeliveryStoreContract } from "./delivery-store.contract.ts";
import { openPulsarMemoryDeliveries } from "./pulsar-fixtures.ts";
import { memoryFixture, sqliteFixture } from "./store-fixtures.ts";

testDeliveryStoreContract("memory", memoryFixture.deliveries);
testDeliveryStoreContract("sqlite", sqliteFixture.deliveries);
testDeliveryStoreContract("pulsar (broker in memory)", openPulsarMemoryDeliveries);
