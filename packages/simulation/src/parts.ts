// The product that a simulation runs: the real one, or a mutant of it.

import * as chunkserver from "@lumeofs/chunkserver";
import * as client from "@lumeofs/client";
import * as master from "@lumeofs/master";

export interface Parts {
  readonly Master: typeof master.Master;
  readonly Chunkserver: typeof chunkserver.Chunkserver;
  readonly Lumeo: typeof client.Lumeo;
}

export const REAL_PARTS: Parts = {
  Master: master.Master,
  Chunkserver: chunkserver.Chunkserver,
  Lumeo: client.Lumeo,
};
