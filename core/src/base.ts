/**
 * The part of core that needs no library: what a database's thread loads. A thread has a heap of its own, and on a gateway
 * the parsers of configuration and the like would cost it 20 MB for nothing.
 */
export * from "./error/mesh-error.ts";
export * from "./event/agent-made-id.ts";
export * from "./event/block.ts";
export * from "./event/event.ts";
export { EventDraft } from "./event/event-draft.ts";
export { eventByteSize } from "./event/event-limits.ts";
export { encodeStructured } from "./event/json-format.ts";
export { isJsonType } from "./event/media-type.ts";
export * from "./port/clock.ts";
export * from "./thread/small-heap.ts";
export * from "./thread/thread-entry.ts";
export * from "./topic/event-class.ts";
export type * from "./wire/message.ts";
export * from "./wire/watermark.ts";
