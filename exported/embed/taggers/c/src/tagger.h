/* What the golden vectors need of the library. */
#ifndef RNNX_TAGGER_INTERNAL_H
#define RNNX_TAGGER_INTERNAL_H

#include <stdint.h>

#include "rnnx_tagger.h"
#include "rule.h"

/* The rule of a tagger. */
const rnnx_rule *rnnx_tagger_rule(const rnnx_tagger *tagger);

/* Looks up a word: `ids` gets its own id and one for each feature. `tokens` is a buffer of the caller. */
int rnnx_tagger_look_up(const rnnx_tagger *tagger, rnnx_tagger_text word, rnnx_tokens *tokens, int32_t *ids);

/* Computes the probability of each tag for each word. The words of `count` sentences are in a row; `sizes` has the
 * number of words of each sentence. Returns 0 or -1. */
int rnnx_tagger_compute(const rnnx_tagger *tagger, const rnnx_tagger_text *words, const size_t *sizes, size_t count,
                        float *probs, char *message);

/* The most probable tag. */
size_t rnnx_tagger_find_best(const rnnx_tagger *tagger, const float *probs);

#endif
