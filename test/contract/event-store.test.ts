import { testEventStoreContract } from "./event-store.contract.ts";
import { openPulsarMemory } from "./pulsar-fixtures.ts";
import { memoryFixture, sqliteFixture } from "./store-fixtures.ts";

testEventStoreContract("memory", memoryFixture.events);
testEventStoreContract("sqlite", sqliteFixture.events);
testEventStoreContract("pulsar (memory)", () => openPulsarMemory(32 * 1024 * 1024));
testEventStoreContract("pulsar (memory), read without its tail", () => openPulsarMemory(0));
