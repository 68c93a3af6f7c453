import { z } from "zod";

const whole = z.number().int().min(0);

export const groupPlaceRecord = z.object({
  /** When it was told, by the wall clock of who told it. */
  atMs: z.number(),
  origins: z.array(
    z.object({
      region: z.string(),
      /** No event of this origin that is not passed was sent before. Wall clock of the origin. */
      sentMs: z.number(),
      /** `open`: numbers up to `through` that are not passed. Runs of a producer before its last one are whole when not named. */
      runs: z.array(z.object({ run: whole, through: whole, open: z.string() })),
    }),
  ),
});

/**
 * How far a consumer group has come in one topic, in words that every region understands: by origin and producer the events that are
 * settled. Positions mean something in one region only.
 */
export type GroupPlace = z.infer<typeof groupPlaceRecord>;
