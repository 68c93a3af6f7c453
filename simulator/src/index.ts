export * from "./drive.ts";
export type { TopicEvent } from "./drive-event.ts";
export * from "./replay-drive.ts";
export * from "./vehicle.ts";
