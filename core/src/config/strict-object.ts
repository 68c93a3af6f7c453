import { z } from "zod";

/** A zod object that refuses unknown keys and tells which it knows, so that the error can name the nearest one. */
export function strictObject<Shape extends z.ZodRawShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys" ? `known:${Object.keys(shape).join(",")}` : undefined,
  });
}
