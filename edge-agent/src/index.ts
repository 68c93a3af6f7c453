export * from "./buffer/buffer.ts";
export * from "./buffer/buffer-options.ts";
export * from "./buffer/buffers.ts";
export * from "./buffer/memory-buffer.ts";
export * from "./buffer/sqlite-buffer.ts";
