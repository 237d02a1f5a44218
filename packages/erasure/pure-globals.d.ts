// The names of the host that this package uses beside the language: as much of WebAssembly as the
// kernel needs. Everything else does not exist when a core is compiled.

declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: "WebAssembly.Module";
  }
  const Module: new (code: Uint8Array<ArrayBuffer>) => Module;
  class Memory {
    constructor(limits: { initial: number; maximum: number });
    readonly buffer: ArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: unknown;
  }
  function validate(code: Uint8Array<ArrayBuffer>): boolean;
}
