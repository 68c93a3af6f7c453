import { createHash } from "node:crypto";
import type { Extension, MeshEvent } from "@fleetmesh/core";

/** 32 bits of an event's id: a filter that spares `find` from reading blocks; what passes is compared in full. */
export function idHash(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Bytes of `directIdentity`: a key and a digest of 128 bits each. */
export const directIdentityBytes = 32;

/**
 * What a direct publisher's event is remembered by: 16 bytes of (topic, source, id), then 16 bytes of its content.
 * The topic belongs to the key: an event published to two topics is two stored events, never one that is silently dropped.
 * Extensions count by name, because intermediaries may reorder HTTP headers.
 */
export function directIdentity(topic: string, event: MeshEvent): Buffer {
  const key = createHash("sha256")
    .update(`${topic}\n${event.source}\n${event.id}`)
    .digest()
    .subarray(0, 16);
  const content = createHash("sha256").update(headOf(event));
  if (event.data !== undefined) content.update(event.data);
  return Buffer.concat([key, content.digest().subarray(0, 16)]);
}

/** All attributes in one unambiguous text: JSON tells an absent attribute from an empty one, and 5 from "5". */
function headOf(event: MeshEvent): string {
  const { type, subject, time, datacontenttype, dataschema, dataKind } = event;
  const fixed = [type, subject, time, datacontenttype, dataschema, dataKind];
  return JSON.stringify([fixed, event.data === undefined, sorted(event.extensions)]);
}

function sorted(extensions: readonly Extension[]): readonly Extension[] {
  if (extensions.length < 2) return extensions;
  return [...extensions].sort(([a], [b]) => (a < b ? -1 : 1));
}
