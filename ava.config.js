// Tests run as compiled: dist mirrors src and test. LUMEO_TESTS chooses a part: "unit" is all but
// the tests that start real processes, "integration" is these.
const integration = "packages/*/dist/test/integration/**/*.test.js";
const unit = [
  "packages/*/dist/src/**/*.test.js",
  "packages/*/dist/test/**/*.test.js",
  "scripts/dist/**/*.test.js",
  `!${integration}`,
];
// The time without any test that ends. One that waits has a patience of its own, which is shorter.
const parts = {
  unit: { files: unit, concurrency: 2, timeout: "5m" },
  integration: { files: [integration], concurrency: 1, timeout: "10m" },
  all: { files: [...unit.slice(0, 3)], concurrency: 2, timeout: "10m" },
};

export default parts[process.env.LUMEO_TESTS ?? "all"];
