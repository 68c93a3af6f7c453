import { testTopicRemoval } from "./topic-removal.contract.ts";

testTopicRemoval("sqlite", () => Promise.resolve({ store: { type: "sqlite" } }));
