/* The tokens of vocabulary.txt: line N has the id N - 1. */
#ifndef RNNX_VOCABULARY_H
#define RNNX_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

/* The ids of special tokens; no word has one of them. */
enum { RNNX_START_ID = 1, RNNX_UNKNOWN_ID = 2, RNNX_SPECIAL_TOKENS = 3 };

typedef struct {
  const char *bytes;
  size_t size;
} rnnx_token;

/* A hash table from tokens to ids. */
typedef struct {
  char *text;
  rnnx_token *tokens;
  int32_t *slots; /* an id, or 0 where none is */
  size_t count, mask, longest;
} rnnx_vocabulary;

/* Reads the lines of a file. Returns 0, or -1 if they are not `count` tokens, the special ones first. */
int rnnx_vocabulary_read(rnnx_vocabulary *vocabulary, const char *data, size_t size, size_t count);

void rnnx_vocabulary_free(rnnx_vocabulary *vocabulary);

/* Returns the id of a word or a feature. */
int32_t rnnx_vocabulary_id(const rnnx_vocabulary *vocabulary, const char *bytes, size_t size);

#endif
