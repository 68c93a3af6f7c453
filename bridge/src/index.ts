export * from "./bridge-config.ts";
export * from "./bridge.ts";
export * from "./region-config.ts";
export * from "./regions-folder.ts";
