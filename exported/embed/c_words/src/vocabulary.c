#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

static size_t hash(const char *bytes, size_t size) {
  uint32_t value = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < size; i++) value = (value ^ (unsigned char)bytes[i]) * 16777619u;
  return value ^ value >> 15;
}

/* The slot of a token, or the empty one where it belongs. */
static size_t find_slot(const rnnx_vocabulary *vocabulary, const char *bytes, size_t size) {
  size_t slot = hash(bytes, size) & vocabulary->mask;
  for (; vocabulary->slots[slot]; slot = (slot + 1) & vocabulary->mask) {
    const rnnx_token token = vocabulary->tokens[vocabulary->slots[slot]];
    if (token.size == size && !memcmp(token.bytes, bytes, size)) break;
  }
  return slot;
}

static int read_lines(rnnx_vocabulary *vocabulary, size_t size, size_t count) {
  static const char *const special[] = {"<pad>", "<start>", "<unknown>"};
  const char *at = vocabulary->text, *const end = at + size;
  for (size_t i = 0; i < count; i++) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    const size_t length = (size_t)(stop - at);
    if ((newline == NULL) != (i + 1 == count)) return -1; /* the last line, and it alone, has no end */
    if (i < RNNX_SPECIAL_TOKENS && (length != strlen(special[i]) || memcmp(at, special[i], length))) return -1;
    vocabulary->tokens[i] = (rnnx_token){at, length};
    vocabulary->longest = length > vocabulary->longest ? length : vocabulary->longest;
    if (i >= RNNX_SPECIAL_TOKENS) vocabulary->slots[find_slot(vocabulary, at, length)] = (int32_t)i;
    at = stop + (newline != NULL);
  }
  return 0;
}

int rnnx_vocabulary_read(rnnx_vocabulary *vocabulary, const char *data, size_t size, size_t count) {
  size_t slots = 16;
  while (slots < 2 * count) slots *= 2;
  size -= size && data[size - 1] == '\n';
  *vocabulary = (rnnx_vocabulary){.text = malloc(size + 1),
                                  .tokens = malloc((count + 1) * sizeof(rnnx_token)),
                                  .slots = calloc(slots, sizeof(int32_t)),
                                  .count = count,
                                  .mask = slots - 1};
  if (!vocabulary->text || !vocabulary->tokens || !vocabulary->slots || count < RNNX_SPECIAL_TOKENS) return -1;
  if (size) memcpy(vocabulary->text, data, size);
  return read_lines(vocabulary, size, count);
}

void rnnx_vocabulary_free(rnnx_vocabulary *vocabulary) {
  free(vocabulary->text);
  free(vocabulary->tokens);
  free(vocabulary->slots);
  *vocabulary = (rnnx_vocabulary){0};
}

int32_t rnnx_vocabulary_id(const rnnx_vocabulary *vocabulary, const char *bytes, size_t size) {
  const int32_t id = vocabulary->slots[find_slot(vocabulary, bytes, size)];
  return id ? id : RNNX_UNKNOWN_ID;
}
