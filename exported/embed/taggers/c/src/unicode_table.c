/* The table of characters of the rule `unicode-14`, and the words that a vocabulary knows. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "unicode_rule.h"
#include "utf8.h"

enum { SEPARATOR = 0, DROPPED_KIND = 5 };

/* Sets what one table has for a character: null is the character itself, true the lowered one. */
static int read_written(const rnnx_json *value, uint32_t itself, uint32_t replacement, uint32_t *written) {
  *written = value->kind == RNNX_TRUE ? replacement : itself;
  if (value->kind != RNNX_STRING) return value->kind == RNNX_NULL || value->kind == RNNX_TRUE ? 0 : -1;
  *written = RNNX_DROPPED;
  if (!value->size) return 0;
  return rnnx_utf8_read((const unsigned char *)value->text, value->size, written) == value->size ? 0 : -1;
}

static int read_run(rnnx_unicode_rule *rule, const rnnx_json *run, size_t count) {
  const double kind = run->items[1].number, shift = run->items[2].number;
  for (size_t code = rule->count; code < rule->count + count; code++) {
    const uint32_t itself = (uint32_t)code, replacement = (uint32_t)((double)code + shift);
    rule->lowered[code] = kind == DROPPED_KIND ? RNNX_DROPPED : kind == SEPARATOR ? itself : replacement;
    if ((double)code + shift < 0 || read_written(&run->items[3], itself, replacement, &rule->classes[code]) ||
        read_written(&run->items[4], itself, replacement, &rule->shapes[code]))
      return -1;
  }
  rule->count += count;
  return 0;
}

static int read_table(rnnx_unicode_rule *rule, const rnnx_json *runs) {
  const size_t most = 0x110000;
  rule->lowered = malloc(most * sizeof(uint32_t));
  rule->classes = malloc(most * sizeof(uint32_t));
  rule->shapes = malloc(most * sizeof(uint32_t));
  if (!rule->lowered || !rule->classes || !rule->shapes) return -1;
  for (size_t i = 0; i < runs->count; i++) {
    const rnnx_json *run = &runs->items[i];
    if (run->kind != RNNX_LIST || run->count != 5) return -1;
    for (size_t k = 0; k < 3; k++)
      if (run->items[k].kind != RNNX_NUMBER) return -1;
    const double count = run->items[0].number;
    if (!(count >= 0 && count <= (double)(most - rule->count)) || read_run(rule, run, (size_t)count)) return -1;
  }
  return 0;
}

/* Whether a token is a feature: such as SUFFIX3=ing, PREFIX1=A or SHAPE=Xxx. */
static int is_feature(rnnx_token token) {
  const char *bytes = token.bytes;
  if (token.size > 6 && !memcmp(bytes, "SHAPE=", 6)) return 1;
  return token.size > 8 && (!memcmp(bytes, "SUFFIX", 6) || !memcmp(bytes, "PREFIX", 6)) && bytes[6] >= '1' &&
         bytes[6] <= '9' && bytes[7] == '=';
}

static int compare_lengths(const void *left, const void *right) {
  const known_length *a = left, *b = right;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return (a->length < b->length) - (a->length > b->length);
}

/* Collects the lengths of the known words, in characters. */
static int read_words(rnnx_unicode_rule *rule) {
  size_t kept = 0;
  for (size_t id = RNNX_SPECIAL_TOKENS; id < rule->vocabulary->count; id++) {
    const rnnx_token token = rule->vocabulary->tokens[id];
    uint32_t code, length = 0;
    known_length found = {0, 0};
    if (!token.size || is_feature(token)) continue;
    for (size_t i = 0; i < token.size; length++) {
      i += rnnx_utf8_read((const unsigned char *)token.bytes + i, token.size - i, &code);
      found.first = length ? found.first : code;
    }
    found.length = length;
    rule->longest = length > rule->longest ? length : rule->longest;
    if (rnnx_grow((void **)&rule->lengths, &rule->length_room, rule->length_count, sizeof found)) return -1;
    rule->lengths[rule->length_count++] = found;
  }
  if (!rule->length_count) return 0;
  qsort(rule->lengths, rule->length_count, sizeof *rule->lengths, compare_lengths);
  for (size_t i = 1; i < rule->length_count; i++) /* each of them once */
    if (compare_lengths(&rule->lengths[kept], &rule->lengths[i])) rule->lengths[++kept] = rule->lengths[i];
  rule->length_count = kept + 1;
  return 0;
}

rnnx_unicode_rule *rnnx_unicode_read(const rnnx_json *runs, const rnnx_vocabulary *vocabulary, int joins_hyphens) {
  rnnx_unicode_rule *rule = calloc(1, sizeof *rule);
  if (!rule) return NULL;
  rule->vocabulary = vocabulary;
  rule->joins_hyphens = joins_hyphens;
  if (!read_table(rule, runs) && !read_words(rule)) return rule;
  rnnx_unicode_free(rule);
  return NULL;
}

void rnnx_unicode_free(rnnx_unicode_rule *rule) {
  if (!rule) return;
  free(rule->lowered);
  free(rule->classes);
  free(rule->shapes);
  free(rule->lengths);
  free(rule);
}

int rnnx_unicode_is_known(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end) {
  size_t size = 0;
  if (end - start > rule->longest) return 0;
  for (size_t i = start; i < end; i++) size += rnnx_utf8_write(line->lowered[i], line->encoded + size);
  return !is_feature((rnnx_token){line->encoded, size}) &&
         rnnx_vocabulary_id(rule->vocabulary, line->encoded, size) != RNNX_UNKNOWN_ID;
}
