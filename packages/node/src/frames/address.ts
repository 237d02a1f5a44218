import { LumeoError } from "@lumeofs/base";

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads "host:port"; a host with colons stands in brackets.
 *
 * @throws LumeoError INVALID_ARGUMENT if it is something else.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || 65_535 < port) {
    throw new LumeoError("INVALID_ARGUMENT", `Cannot use address "${text}": it is not host:port`);
  }
  return { host, port };
}

/** The text that `parseAddress` reads. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
