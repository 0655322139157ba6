import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules"] },
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: process.cwd() } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      // What components are given is written as methods, and none of it uses `this`.
      "@typescript-eslint/unbound-method": "off",
      // `void signal.value` subscribes to a signal.
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["**/*.tsx"],
    ...a11y.flatConfigs.strict,
    // Labels name their controls by `for`, Preact's name of the attribute, which the rule does not know.
    rules: { ...a11y.flatConfigs.strict.rules, "jsx-a11y/label-has-associated-control": "off" },
  },
  {
    files: ["scripts/**", "e2e/**", "*.js"],
    languageOptions: { globals: { process: "readonly", console: "readonly", URL: "readonly" } },
    rules: { "no-console": "off" },
  },
);
