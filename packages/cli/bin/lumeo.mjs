#!/usr/bin/env node
// The command as installed: everything else is compiled TypeScript.
import "../dist/src/main.js";
