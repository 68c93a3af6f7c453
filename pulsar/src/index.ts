export * from "./message-id.ts";
export type * from "./pulsar-admin.ts";
export type * from "./pulsar-client.ts";
