export * from "./bridge-config.ts";
export * from "./bridge.ts";
