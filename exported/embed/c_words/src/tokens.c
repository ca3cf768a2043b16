#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"

int rnnx_tokens_begin(rnnx_tokens *tokens) {
  if (rnnx_grow((void **)&tokens->ends, &tokens->ends_room, tokens->count, sizeof *tokens->ends)) return -1;
  tokens->ends[tokens->count++] = tokens->size;
  return 0;
}

int rnnx_tokens_add(rnnx_tokens *tokens, const char *bytes, size_t size) {
  for (; tokens->room < tokens->size + size + 1;)
    if (rnnx_grow((void **)&tokens->bytes, &tokens->room, tokens->room, 1)) return -1;
  if (size) memcpy(tokens->bytes + tokens->size, bytes, size);
  tokens->size += size;
  tokens->ends[tokens->count - 1] = tokens->size;
  return 0;
}

void rnnx_tokens_free(rnnx_tokens *tokens) {
  free(tokens->bytes);
  free(tokens->ends);
  *tokens = (rnnx_tokens){0};
}
