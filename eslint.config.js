import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  {
    ignores: ["**/dist/**", "**/node_modules/**", ".fleetmesh/**", "**/*.mjs", "eslint.config.js"],
  },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ["./tsconfig.test.json"], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "max-lines": ["error", { max: 400 }],
      "max-lines-per-function": ["error", { max: 60 }],
      "max-params": ["error", 3],
      complexity: ["error", 12],
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      // `import { type A }` alone still loads the module when the program runs.
      "@typescript-eslint/no-import-type-side-effects": "error",
    },
  },
  {
    // describe() and suite functions are lists of sentences, not logic.
    files: ["**/test/**/*.ts", "test/**/*.ts"],
    rules: { "max-lines-per-function": "off" },
  },
  { files: ["vitest.config.ts"], rules: { "no-restricted-exports": "off" } },
);
