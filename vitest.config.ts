import { defineConfig } from "vitest/config";

// Siblings are tested from their source ("source" export condition); worker threads run from dist, so build first.
const resolve = { conditions: ["source"] };
const ssr = { resolve: { conditions: ["source"] } };
const project = (name: string, include: string[], testTimeout: number) => ({
  resolve,
  ssr,
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: "forks" as const },
});

/** With a server that is started once for all files of the project. */
const sharing = (given: ReturnType<typeof project>, globalSetup: string) => ({
  ...given,
  test: { ...given.test, globalSetup },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project("unit", ["*/test/**/*.test.ts"], 20_000),
      project("contract", ["test/contract/**/*.test.ts", "test/architecture/**/*.test.ts"], 60_000),
      project("integration", ["test/integration/**/*.test.ts"], 120_000),
      project("simulation", ["test/simulation/**/*.test.ts"], 180_000),
      project("durability", ["test/durability/**/*.test.ts"], 600_000),
      sharing(
        project("pulsar", ["test/pulsar/**/*.test.ts"], 240_000),
        "./test/servers/shared-pulsar-setup.ts",
      ),
    ],
  },
});
