/* The parts of the library. */
#ifndef RNNX_STREAM_H
#define RNNX_STREAM_H

#include <stdint.h>

#include "rnnx_text_stream.h"
#include "session.h"
#include "vocabulary.h"
#include "words.h"

/* An array that a model gives and takes again: `h` of the input `h_in` and the output `h_out`. */
typedef struct {
  char *name, *input, *output;
  size_t size;
} rnnx_array;

struct rnnx_stream_model {
  rnnx_session session;
  rnnx_vocabulary vocabulary;
  rnnx_cutter cutter;
  char **labels, *input, *output;
  rnnx_array *arrays;
  size_t label_count, array_count, float_count; /* `float_count` is that of all arrays */
  int has_start, is_rating;
};

struct rnnx_stream_state {
  float *arrays; /* one after the other */
  size_t float_count;
  int64_t positions; /* the words that were read, and the start of the text if the model has one */
  char *held;        /* bytes that may go on */
  size_t held_size;
  float *latest; /* the outputs so far; none before the first word */
  size_t latest_count;
};

/* Makes a state without anything held back, and with arrays of zeros; NULL if there is no memory. */
rnnx_stream_state *rnnx_stream_make_state(const rnnx_stream_model *model, size_t latest_count);

/* The id of a word. */
static inline int32_t rnnx_stream_id(const rnnx_stream_model *model, const char *word, size_t size) {
  return rnnx_vocabulary_id(&model->vocabulary, word, size);
}

#endif
