// Tests run as compiled: packages/*/dist mirrors packages/*/{src,test}.
export default {
  files: ["packages/*/dist/src/**/*.test.js", "packages/*/dist/test/**/*.test.js"],
  timeout: "5m",
};
