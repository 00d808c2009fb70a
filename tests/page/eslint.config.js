// What the page's scripts are held to; `make page` runs it. Types, and so unknown names too, are tsc's part.
import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error", noInlineConfig: true },
    rules: {
      "eqeqeq": "error",
      "max-len": ["error", { code: 120 }],
      "max-lines": ["error", 500],
      "max-lines-per-function": ["error", 60],
      "max-statements-per-line": ["error", { max: 1 }],
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-unused-vars": "error",
      "no-var": "error",
      "no-warning-comments": ["error", { terms: ["@ts-"], location: "anywhere" }], // nothing is let pass
      "object-shorthand": "error",
      "one-var": ["error", "never"],
      "prefer-const": "error",
    },
  },
  { files: ["src/velocell/viewer/static/**"], languageOptions: { globals: globals.browser } },
  { files: ["tests/page/**"], languageOptions: { globals: globals.node } },
];
