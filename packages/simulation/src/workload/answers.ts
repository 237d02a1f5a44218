// What a call of the SDK ended with, for workloads that expect some ends.

/** The code of an error of the SDK; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Undefined where there is nothing of that name. */
export async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (codeOf(error) !== "LUMEO_NOT_FOUND") throw error;
    return undefined;
  }
}
