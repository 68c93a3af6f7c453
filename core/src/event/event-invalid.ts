import { MeshError } from "../error/mesh-error.ts";

/** EVENT_INVALID about one attribute: its name goes into `details.attribute`. */
export function eventInvalid(attribute: string, why: string): MeshError {
  const name = attribute.length > 60 ? `${attribute.slice(0, 60)}...` : attribute;
  return new MeshError("EVENT_INVALID", `${JSON.stringify(name)} ${why}`, {
    details: { attribute: name },
  });
}
