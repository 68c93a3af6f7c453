import { describe, expect, it } from "vitest";
import { catalogue } from "../src/error/catalogue.ts";
import { errorFromData, errorToData, MeshError, toProblem } from "../src/error/mesh-error.ts";

describe("The catalogue of errors", () => {
  it("has one code for each kind, and a hint for each", () => {
    const entries = Object.values(catalogue);
    expect(new Set(entries.map(({ code }) => code)).size).toBe(entries.length);
    for (const { code, hint, status } of entries) {
      expect(code).toMatch(/^MESH-\d{4}$/);
      expect(hint).not.toBe("");
      expect(status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("A MeshError", () => {
  it("takes code, status and hint from the catalogue, which the case may override", () => {
    const cause = new Error("disk");
    const error = new MeshError("BUFFER_FULL", "full", { cause, hint: "wait", retryable: false });
    expect(error).toMatchObject({ code: "MESH-4001", status: 503, hint: "wait", retryable: false });
    expect(error.cause).toBe(cause);
  });

  it("is known by name and kind, and anything thrown becomes one", () => {
    const error = new MeshError("NOT_FOUND", "none");
    expect(MeshError.is(error)).toBe(true);
    expect(MeshError.is(error, "NOT_FOUND")).toBe(true);
    expect(MeshError.is(error, "INTERNAL")).toBe(false);
    expect(MeshError.is(new Error("x"))).toBe(false);
    expect(MeshError.from(error)).toBe(error);
    expect(MeshError.from("text")).toMatchObject({ kind: "INTERNAL", message: "text" });
  });

  it("crosses a thread's boundary with all that a door needs", () => {
    const details = { index: 3 };
    const error = new MeshError("BUFFER_FULL", "full", { retryAfterSeconds: 5, details });
    const back = errorFromData(structuredClone(errorToData(error)));
    expect(toProblem(back)).toEqual(toProblem(error));
    expect(back.retryAfterSeconds).toBe(5);
    expect(errorFromData(errorToData(new Error("x"))).retryAfterSeconds).toBeUndefined();
  });
});

describe("The problem document", () => {
  it("carries the details but never lets them replace what is fixed", () => {
    const details = { index: 2, code: "forged", status: 200 };
    const problem = toProblem(new MeshError("EVENT_INVALID", "bad", { details }));
    expect(problem).toMatchObject({ code: "MESH-1001", status: 400, index: 2, detail: "bad" });
  });

  it("does not show a stranger the text of an internal failure", () => {
    expect(JSON.stringify(toProblem(new MeshError("INTERNAL", "secret path")))).not.toContain(
      "secret",
    );
  });
});
