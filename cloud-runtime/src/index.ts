export * from "./store/event-store.ts";
export * from "./store/delivery-store.ts";
export * from "./store/memory-store.ts";
