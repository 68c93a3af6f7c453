import { testEventStoreContract } from "./event-store.contract.ts";
import { memoryFixture, sqliteFixture } from "./store-fixtures.ts";

testEventStoreContract("memory", memoryFixture.events);
testEventStoreContract("sqlite", sqliteFixture.events);
