export * from "./binary-pulsar-client.ts";
export * from "./event-binding.ts";
export * from "./http-pulsar-admin.ts";
export * from "./memory-admin.ts";
export * from "./memory-broker.ts";
export * from "./memory-client.ts";
export * from "./message-id.ts";
export type * from "./pulsar-admin.ts";
export type * from "./pulsar-client.ts";
