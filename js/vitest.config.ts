import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["tests/**/*.test.ts"], environment: "happy-dom", restoreMocks: true, testTimeout: 30_000 /* 919 classes on a busy machine */ },
});
