export * from "./bridge-config.ts";
export * from "./bridge.ts";
export type * from "./link-status.ts";
export * from "./region-config.ts";
export type * from "./region-status.ts";
export * from "./regions-folder.ts";
