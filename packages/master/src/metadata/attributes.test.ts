import test from "ava";
import fc from "fast-check";
import {
  type AttributesChange,
  changeAttributes,
  METADATA_BYTES_MAX,
  METADATA_KEYS_MAX,
  NO_ATTRIBUTES,
  refuseAttributes,
  TAGS_MAX,
} from "./attributes.js";

const nothing: AttributesChange = {
  setMetadata: {},
  removeMetadata: [],
  setTags: {},
  removeTags: [],
  contentType: undefined,
};

function change(before: Partial<typeof NO_ATTRIBUTES>, what: Partial<AttributesChange>) {
  return changeAttributes({ ...NO_ATTRIBUTES, ...before }, { ...nothing, ...what });
}

function refusal(attributes: Partial<typeof NO_ATTRIBUTES>): string {
  const refused = refuseAttributes({ ...NO_ATTRIBUTES, ...attributes });
  return refused === undefined ? "" : `${refused.code}: ${refused.message}`;
}

test("changes set, remove and leave, key by key", (t) => {
  const before = { metadata: { a: "1", b: "2" }, tags: { x: "y" }, contentType: "text/plain" };
  const after = change(before, {
    setMetadata: { b: "3", c: "4" },
    removeMetadata: ["a", "z"],
    removeTags: ["x"],
    setTags: { x: "again" },
  });
  const expected = { metadata: { b: "3", c: "4" }, tags: { x: "again" } };
  t.deepEqual(after, { kind: "attributes", ...expected, contentType: "text/plain" });
  t.deepEqual(before.metadata, { a: "1", b: "2" });
  t.like(change(before, { contentType: "" }), { contentType: "" });
});

test("metadata keys are plain names, so that they can travel in headers", (t) => {
  for (const key of ["a", "0", "x-y.z_1", "a".repeat(128)])
    t.is(refusal({ metadata: { [key]: "" } }), "");
  for (const key of ["", "A", "ü", "-a", "a b", "__proto__", "a".repeat(129)]) {
    t.regex(
      refusal({ metadata: { [key]: "" } }),
      /^INVALID_ARGUMENT: Cannot set metadata .* a key is/,
    );
  }
});

test("metadata has a limit of bytes in UTF-8 and one of keys", (t) => {
  t.is(refusal({ metadata: { k: "ü".repeat((METADATA_BYTES_MAX - 2) / 2) } }), "");
  t.regex(
    refusal({ metadata: { k: "ü".repeat(METADATA_BYTES_MAX / 2) } }),
    /would have 8193 bytes/,
  );
  const many = Array.from({ length: METADATA_KEYS_MAX + 1 }, (_, i) => [`k${i}`, ""]);
  t.is(refusal({ metadata: Object.fromEntries(many.slice(1)) }), "");
  t.regex(refusal({ metadata: Object.fromEntries(many) }), /there would be 129 keys/);
});

test("tags have limits of characters, not of bytes, and of their number", (t) => {
  t.is(refusal({ tags: { ["😀".repeat(128)]: "😀".repeat(256) } }), "");
  t.regex(refusal({ tags: { ["k".repeat(129)]: "" } }), /its key is longer than 128/);
  t.regex(refusal({ tags: { k: "v".repeat(257) } }), /its value is longer than 256/);
  t.regex(refusal({ tags: { "": "v" } }), /a tag has a key/);
  const many = Array.from({ length: TAGS_MAX + 1 }, (_, i) => [`k${i}`, ""]);
  t.is(refusal({ tags: Object.fromEntries(many.slice(1)) }), "");
  t.regex(refusal({ tags: Object.fromEntries(many) }), /there would be 51, at most 50 fit/);
});

test("no text has line breaks, other control characters or half a character", (t) => {
  for (const text of ["a\nb", "a\rb", "\0", "\u0085", "\ud800"]) {
    t.regex(refusal({ metadata: { k: text } }), /its value has a control character/);
    t.regex(refusal({ tags: { k: text } }), /has a control character/);
    t.regex(refusal({ tags: { [text]: "v" } }), /has a control character/);
    t.regex(refusal({ contentType: text }), /printable ASCII/);
  }
  t.regex(refusal({ contentType: "x".repeat(256) }), /at most 255/);
});

test("removing what would be too much makes room for what is set", (t) => {
  const full = { k: "v".repeat(METADATA_BYTES_MAX - 1) };
  t.is(change({ metadata: full }, { setMetadata: { n: "" } }).kind, "refused");
  const after = change({ metadata: full }, { setMetadata: { n: "" }, removeMetadata: ["k"] });
  t.deepEqual(after, { kind: "attributes", ...NO_ATTRIBUTES, metadata: { n: "" } });
});

test("setting what was set, or removing what is not there, changes nothing", (t) => {
  const labels = fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.stringMatching(/^[a-z]*$/));
  fc.assert(
    fc.property(labels, labels, (metadata, tags) => {
      const again = { setMetadata: metadata, removeMetadata: ["not-there"], setTags: tags };
      const after = change({ metadata, tags }, again);
      t.deepEqual(after, { kind: "attributes", metadata, tags, contentType: "" });
    }),
  );
});
