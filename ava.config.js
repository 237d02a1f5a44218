// Tests run as compiled: dist mirrors src and test. scripts/test.ts runs those that start real
// processes (test/integration) by themselves, one file after the other.
export default {
  files: [
    "packages/*/dist/src/**/*.test.js",
    "packages/*/dist/test/**/*.test.js",
    "scripts/dist/**/*.test.js",
  ],
  concurrency: 2,
  timeout: "2m",
  workerThreads: true,
};
