/* A list of words or of other tokens. */
#ifndef RNNX_TOKENS_H
#define RNNX_TOKENS_H

#include <stddef.h>

/* Tokens in a row: token `i` ends at `ends[i]`. */
typedef struct {
  char *bytes;
  size_t *ends;
  size_t count, size, room, ends_room;
} rnnx_tokens;

/* Begins a token, and adds bytes to the last one. Both return -1 if there is no memory. */
int rnnx_tokens_begin(rnnx_tokens *tokens);
int rnnx_tokens_add(rnnx_tokens *tokens, const char *bytes, size_t size);
void rnnx_tokens_free(rnnx_tokens *tokens);

/* Where a token starts. */
static inline size_t rnnx_token_start(const rnnx_tokens *tokens, size_t i) { return i ? tokens->ends[i - 1] : 0; }

#endif
