// How programs get a client.

import { Lumeo } from "./client.js";
import { publicly } from "./error.js";
import { environmentOptions, type LumeoOptions } from "./options.js";

/**
 * A client that has found the cluster.
 *
 * @param target  Endpoints, options, or nothing: then LUMEO_ENDPOINTS says where.
 */
export async function connect(
  target?: string | readonly string[] | LumeoOptions,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Lumeo> {
  const client = new Lumeo(optionsOf(target));
  try {
    await client.ready(options);
    return client;
  } catch (error) {
    await client.close({ graceMs: 0 });
    throw error;
  }
}

/**
 * Options out of the environment.
 *
 * @throws LumeoError LUMEO_INVALID_ARGUMENT if LUMEO_ENDPOINTS is not set.
 */
export function fromEnv(env: Record<string, string | undefined> = process.env): LumeoOptions {
  return publicly(() => environmentOptions(env));
}

function optionsOf(target: string | readonly string[] | LumeoOptions | undefined): LumeoOptions {
  if (target === undefined) return fromEnv();
  if (typeof target === "string" || isList(target)) return { endpoints: target };
  return target;
}

function isList(target: readonly string[] | LumeoOptions): target is readonly string[] {
  return Array.isArray(target);
}
