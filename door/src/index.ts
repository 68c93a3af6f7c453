export * from "./auth/authenticator.ts";
export * from "./intake.ts";
