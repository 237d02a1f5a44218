// What users say about files and directories: metadata and tags (text by key) and a file's content
// type. Checked here and only here, whatever command brings them; what an inode holds has passed.

import { utf8Length } from "@lumeofs/base";
import { quoted, type Refused, refuse } from "./command.js";

/** All keys and values of an inode's metadata together, as UTF-8. */
export const METADATA_BYTES_MAX = 8 * 1024;
export const METADATA_KEYS_MAX = 128;
export const TAGS_MAX = 50;
export const TAG_KEY_CHARACTERS_MAX = 128;
export const TAG_VALUE_CHARACTERS_MAX = 256;
export const CONTENT_TYPE_CHARACTERS_MAX = 255;

/** Text by key. Keys and values have been checked once they are in an inode. */
export type Labels = Readonly<Record<string, string>>;

export interface Attributes {
  readonly metadata: Labels;
  readonly tags: Labels;
  /** "" if nobody has said it, and always for directories. */
  readonly contentType: string;
}

/** What changes; everything else stays. A key that is removed and set is set. */
export interface AttributesChange {
  readonly setMetadata: Labels;
  readonly removeMetadata: readonly string[];
  readonly setTags: Labels;
  readonly removeTags: readonly string[];
  /** Undefined leaves it; "" takes it away. */
  readonly contentType: string | undefined;
}

export const NO_ATTRIBUTES: Attributes = { metadata: {}, tags: {}, contentType: "" };

const METADATA_KEY = /^[a-z0-9][a-z0-9._-]{0,127}$/;
const METADATA_KEY_SHAPE = 'up to 128 of a-z, 0-9, ".", "_" and "-", with a letter or digit first';
/** Values travel in headers: no line breaks and other control characters, valid Unicode. */
const UNFIT_TEXT = /[\p{Cc}\p{Surrogate}]/u;
const CONTENT_TYPE = /^[\x20-\x7e]*$/;

/** What `change` makes of `before`, or why it cannot. */
export function changeAttributes(
  before: Attributes,
  change: AttributesChange,
): ({ readonly kind: "attributes" } & Attributes) | Refused {
  const after: Attributes = {
    metadata: changed(before.metadata, change.removeMetadata, change.setMetadata),
    tags: changed(before.tags, change.removeTags, change.setTags),
    contentType: change.contentType ?? before.contentType,
  };
  return refuseAttributes(after) ?? { kind: "attributes", ...after };
}

/** Why an inode cannot have these attributes: INVALID_ARGUMENT with the limit, if it cannot. */
export function refuseAttributes(attributes: Attributes): Refused | undefined {
  const { contentType } = attributes;
  const fault = metadataFault(attributes.metadata) ?? tagsFault(attributes.tags);
  if (fault !== undefined) return refuse("INVALID_ARGUMENT", fault);
  if (CONTENT_TYPE.test(contentType) && contentType.length <= CONTENT_TYPE_CHARACTERS_MAX) {
    return undefined;
  }
  const limit = `at most ${CONTENT_TYPE_CHARACTERS_MAX} printable ASCII characters`;
  return refuse("INVALID_ARGUMENT", `Cannot set content type ${quoted(contentType)}: use ${limit}`);
}

function changed(before: Labels, removed: readonly string[], set: Labels): Labels {
  const after = new Map(Object.entries(before));
  for (const key of removed) after.delete(key);
  for (const [key, value] of Object.entries(set)) after.set(key, value);
  return Object.fromEntries(after);
}

function metadataFault(metadata: Labels): string | undefined {
  let count = 0;
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata)) {
    const what = `Cannot set metadata ${quoted(key)}`;
    if (!METADATA_KEY.test(key)) return `${what}: a key is ${METADATA_KEY_SHAPE}`;
    if (UNFIT_TEXT.test(value)) return `${what}: its value has a control character`;
    count++;
    bytes += key.length + utf8Length(value);
  }
  if (METADATA_KEYS_MAX < count) {
    return `Cannot set metadata: there would be ${count} keys, at most ${METADATA_KEYS_MAX} fit`;
  }
  if (bytes <= METADATA_BYTES_MAX) return undefined;
  return `Cannot set metadata: it would have ${bytes} bytes, at most ${METADATA_BYTES_MAX} fit`;
}

function tagsFault(tags: Labels): string | undefined {
  const entries = Object.entries(tags);
  for (const [key, value] of entries) {
    const what = `Cannot set tag ${quoted(key)}`;
    if (key === "") return `${what}: a tag has a key`;
    if (TAG_KEY_CHARACTERS_MAX < characters(key)) {
      return `${what}: its key is longer than ${TAG_KEY_CHARACTERS_MAX} characters`;
    }
    if (TAG_VALUE_CHARACTERS_MAX < characters(value)) {
      return `${what}: its value is longer than ${TAG_VALUE_CHARACTERS_MAX} characters`;
    }
    if (UNFIT_TEXT.test(key) || UNFIT_TEXT.test(value))
      return `${what}: it has a control character`;
  }
  if (entries.length <= TAGS_MAX) return undefined;
  return `Cannot set tags: there would be ${entries.length}, at most ${TAGS_MAX} fit`;
}

/** Unicode characters, not UTF-16 units. */
function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
