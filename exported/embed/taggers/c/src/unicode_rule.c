/* The rule `unicode-14`: splits a text of any script, and gives the features of words.
 *
 * The table in config.json says of each character how it is lowered, and its classes for splitting and for the shape of
 * a word. Bytes that are not UTF-8 are the characters of their own numbers. */
#include "unicode_rule.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static int is_ellipsis(uint32_t symbol) { return symbol == ELLIPSIS; }
static int is_wide_stop(uint32_t symbol) { return symbol == WIDE_STOP; }

static void add_code(rnnx_line *line, uint32_t code, size_t start, size_t end) {
  line->codes[line->count] = code;
  line->starts[line->count] = start;
  line->ends[line->count++] = end;
}

/* Reads all characters. Each byte of an encoded surrogate is a space. */
static void read_codes(rnnx_line *line, const char *bytes, size_t size) {
  line->count = 0;
  for (size_t i = 0, read; i < size; i += read) {
    uint32_t code;
    read = rnnx_utf8_read((const unsigned char *)bytes + i, size - i, &code);
    const int is_surrogate = code >= 0xd800 && code < 0xe000;
    for (size_t k = 0; is_surrogate && k < read; k++) add_code(line, ' ', i + k, i + k + 1);
    if (!is_surrogate) add_code(line, code, i, i + read);
  }
}

/* Reads the characters that are not dropped. */
static void read_line(const rnnx_unicode_rule *rule, rnnx_line *line, const char *bytes, size_t size) {
  size_t kept = 0;
  read_codes(line, bytes, size);
  for (size_t i = 0; i < line->count; i++) {
    const uint32_t class_of = rnnx_unicode_look_up(rule, rule->classes, line->codes[i]);
    if (class_of == RNNX_DROPPED) continue;
    line->classes[kept] = class_of;
    line->lowered[kept] = rnnx_unicode_look_up(rule, rule->lowered, line->codes[i]);
    line->starts[kept] = line->starts[i];
    line->ends[kept++] = line->ends[i];
  }
  line->count = kept;
}

/* Whether the marks of the sentence before have ended it, and whether the last one was a wide one. */
typedef struct {
  size_t end; /* of the last word */
  int is_over, is_wide, has_words;
} progress;

static int is_closing(uint32_t symbol) {
  static const uint32_t closing[] = {0x2019, 0x201d, 0xbb,   0x203a, 0xff09, 0xff3d, 0xff5d,
                                     0x300d, 0x300f, 0x3011, 0x300b, 0x3009, 0x3015, 0xff63};
  for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
    if (symbol == closing[i]) return 1;
  return rnnx_is_one_of(symbol, "\"')]}");
}

static int ends_sentence(const rnnx_symbols *text, size_t start, size_t end) {
  return rnnx_skip(text, start, rnnx_unicode_is_mark) >= end || rnnx_skip(text, start, is_ellipsis) >= end ||
         rnnx_skip(text, start, is_wide_stop) >= end;
}

static int begins_sentence(uint32_t initial, int is_apart, int is_wide) {
  if (is_wide || initial == SINGLE || initial == KATAKANA) return 1;
  return is_apart && initial != SMALL && !rnnx_is_small(initial);
}

static int add_word(const rnnx_line *line, const rnnx_symbols *text, size_t start, size_t end, size_t offset,
                    progress *now, rnnx_spans *spans) {
  const int is_apart = now->end < start;
  const int closes = now->is_over && !is_apart && rnnx_skip(text, start, is_closing) >= end;
  int is_new = !now->has_words || (now->is_over && !closes && begins_sentence(text->at[start], is_apart, now->is_wide));
  for (size_t i = now->end; i < start; i++) is_new |= text->at[i] == '\n' || text->at[i] == '\r';
  if (!closes) {
    const uint32_t last = text->at[end - 1];
    now->is_over = ends_sentence(text, start, end);
    now->is_wide = now->is_over && (last == WIDE_MARK || last == WIDE_STOP);
  }
  now->end = end;
  now->has_words = 1;
  return rnnx_spans_add(spans, offset + line->starts[start], offset + line->ends[end - 1], is_new);
}

static int split_line(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t offset, rnnx_spans *spans) {
  const rnnx_symbols text = rnnx_unicode_symbols(line);
  progress now = {0};
  for (size_t i = 0; i < text.count;) {
    if (rnnx_unicode_is_space(text.at[i])) {
      i++;
      continue;
    }
    const size_t end = rnnx_unicode_find_end(rule, line, i), cut = rnnx_unicode_find_cut(rule, line, i, end);
    if (add_word(line, &text, i, cut, offset, &now, spans)) return -1;
    if (cut < end && add_word(line, &text, cut, end, offset, &now, spans)) return -1;
    i = end;
  }
  return 0;
}

static void free_line(rnnx_line *line) {
  free(line->codes);
  free(line->lowered);
  free(line->classes);
  free(line->starts);
  free(line->ends);
  free(line->encoded);
}

/* Makes room for a line of `size` bytes. */
static int make_line(rnnx_line *line, size_t size) {
  *line = (rnnx_line){.codes = malloc((size + 1) * sizeof(uint32_t)),
                      .lowered = malloc((size + 1) * sizeof(uint32_t)),
                      .classes = malloc((size + 1) * sizeof(uint32_t)),
                      .starts = malloc((size + 1) * sizeof(size_t)),
                      .ends = malloc((size + 1) * sizeof(size_t)),
                      .encoded = malloc(4 * (size + 1))};
  return line->codes && line->lowered && line->classes && line->starts && line->ends && line->encoded ? 0 : -1;
}

static size_t find_line_end(const char *text, size_t start, size_t size) {
  const char *newline = memchr(text + start, '\n', size - start);
  return newline ? (size_t)(newline - text) + 1 : size;
}

int rnnx_unicode_split(const rnnx_unicode_rule *rule, const char *text, size_t size, rnnx_spans *spans) {
  size_t longest = 0;
  rnnx_line line;
  for (size_t start = 0, end; start < size; start = end) {
    end = find_line_end(text, start, size);
    longest = end - start > longest ? end - start : longest;
  }
  int failed = make_line(&line, longest);
  for (size_t start = 0, end; !failed && start < size; start = end) { /* no sentence is longer than a line */
    end = find_line_end(text, start, size);
    read_line(rule, &line, text + start, end - start);
    failed = split_line(rule, &line, start, spans);
  }
  free_line(&line);
  return failed ? -1 : 0;
}

static int add_characters(rnnx_tokens *tokens, const uint32_t *codes, size_t count) {
  char bytes[4];
  for (size_t i = 0; i < count; i++)
    if (rnnx_tokens_add(tokens, bytes, rnnx_utf8_write(codes[i], bytes))) return -1;
  return 0;
}

/* The shape of a word: the kinds of its characters, at most two of the same in a row. */
static int write_shape(const uint32_t *shapes, size_t count, rnnx_tokens *tokens) {
  uint32_t shape[RNNX_LONGEST_SHAPE];
  size_t length = 0, same = 0;
  for (size_t i = 0; i < count && length < RNNX_LONGEST_SHAPE; i++) {
    same = i && shapes[i] == shapes[i - 1] ? same + 1 : 1;
    if (same <= 2) shape[length++] = shapes[i];
  }
  return add_characters(tokens, shape, length);
}

static int write_feature(const rnnx_slot *slot, const rnnx_line *line, size_t shape_count, rnnx_tokens *tokens) {
  if (rnnx_tokens_begin(tokens) || rnnx_tokens_add(tokens, slot->name, strlen(slot->name)) ||
      rnnx_tokens_add(tokens, "=", 1))
    return -1;
  if (slot->feature == RNNX_SHAPE)
    return shape_count ? write_shape(line->classes, shape_count, tokens)
                       : write_shape(line->lowered, line->count, tokens);
  const size_t count = slot->count < line->count ? slot->count : line->count;
  const size_t from = slot->feature == RNNX_SUFFIX ? line->count - count : 0;
  return add_characters(tokens, line->lowered + from, count);
}

int rnnx_unicode_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens) {
  const rnnx_unicode_rule *unicode = rule->unicode;
  rnnx_line line; /* of which the classes are the shapes here */
  int failed = make_line(&line, size) || rnnx_tokens_begin(tokens);
  size_t shapes = 0, kept = 0;
  if (!failed) read_codes(&line, word, size);
  for (size_t i = 0; !failed && i < line.count; i++) {
    const uint32_t lowered = rnnx_unicode_look_up(unicode, unicode->lowered, line.codes[i]);
    const uint32_t shape = rnnx_unicode_look_up(unicode, unicode->shapes, line.codes[i]);
    if (lowered != RNNX_DROPPED) line.lowered[kept++] = lowered;
    if (shape != RNNX_DROPPED) line.classes[shapes++] = shape;
  }
  if (!failed && !kept) memcpy(line.lowered, line.codes, (kept = line.count) * sizeof *line.codes); /* all dropped */
  line.count = failed ? 0 : kept;
  failed = failed || add_characters(tokens, line.lowered, line.count);
  for (size_t k = 0; !failed && k < rule->slot_count; k++)
    failed = write_feature(&rule->slots[k], &line, shapes, tokens);
  free_line(&line);
  return failed ? -1 : 0;
}
