/* Reads the chunks of a text. */
#include "stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

static const float THRESHOLD = 0.5f; /* with two labels, the probability from which the second one is chosen */

/* The ids of new words, after that of the start of a text. */
static int32_t *look_up(const rnnx_stream_model *model, const rnnx_tokens *words, int has_start) {
  int32_t *ids = malloc((words->count + 2) * sizeof *ids), *at = ids;
  if (!ids) return NULL;
  if (has_start) *at++ = RNNX_START_ID;
  for (size_t k = 0; k < words->count; k++) {
    const size_t start = rnnx_token_start(words, k);
    *at++ = rnnx_stream_id(model, words->bytes + start, words->ends[k] - start);
  }
  return ids;
}

/* Takes the outputs of the model into a new state; frees them. */
static rnnx_stream_state *take_outputs(const rnnx_stream_model *model, rnnx_output *outputs, char *message) {
  rnnx_stream_state *state = rnnx_stream_make_state(model, outputs[0].count);
  int failed = state ? 0 : rnnx_fail(message, "out of memory");
  float *values = state ? state->arrays : NULL;
  if (!failed) memcpy(state->latest, outputs[0].data, outputs[0].count * sizeof(float));
  for (size_t i = 0; !failed && i < model->array_count; values += model->arrays[i++].size) {
    const rnnx_output *output = &outputs[i + 1];
    if (output->count != model->arrays[i].size) {
      failed = rnnx_fail(message, "config.json does not belong to this model");
      break;
    }
    memcpy(values, output->data, output->count * sizeof(float));
    for (size_t k = 0; !failed && k < output->count; k++)
      if (!isfinite(values[k])) failed = rnnx_fail(message, "the state is not finite any more after this chunk");
  }
  for (size_t i = 0; i <= model->array_count; i++) free(outputs[i].data);
  if (!failed) return state;
  rnnx_stream_state_free(state);
  return NULL;
}

/* Runs the model on new ids, and returns the new state without what is held back. */
static rnnx_stream_state *run(const rnnx_stream_model *model, const rnnx_stream_state *state, const int32_t *ids,
                              size_t count, char *message) {
  rnnx_input inputs[RNNX_MOST_PORTS] = {{.name = model->input, .ids = ids, .shape = {1, (int64_t)count}, .rank = 2}};
  rnnx_output outputs[RNNX_MOST_PORTS] = {{.name = model->output}};
  const float *values = state->arrays;
  for (size_t i = 0; i < model->array_count; values += model->arrays[i++].size) {
    const int64_t size = (int64_t)model->arrays[i].size;
    inputs[i + 1] = (rnnx_input){.name = model->arrays[i].input, .floats = values, .shape = {1, size}, .rank = 2};
    outputs[i + 1] = (rnnx_output){.name = model->arrays[i].output};
  }
  const size_t ports = model->array_count + 1;
  if (rnnx_session_run(&model->session, inputs, ports, outputs, ports, message)) return NULL;
  rnnx_stream_state *next = take_outputs(model, outputs, message);
  const size_t most = model->is_rating ? 1 : model->label_count;
  if (next && next->latest_count != most && !(next->latest_count == 1 && most == 2)) {
    rnnx_fail(message, "the labels in config.json are not those of the model");
    rnnx_stream_state_free(next);
    return NULL;
  }
  return next;
}

/* The answer without new words is the one before. */
static rnnx_stream_state *copy_state(const rnnx_stream_model *model, const rnnx_stream_state *state, char *message) {
  rnnx_stream_state *copy = rnnx_stream_make_state(model, state->latest_count);
  if (!copy) {
    rnnx_fail(message, "out of memory");
    return NULL;
  }
  memcpy(copy->arrays, state->arrays, state->float_count * sizeof(float));
  memcpy(copy->latest, state->latest, state->latest_count * sizeof(float));
  return copy;
}

static int copy_words(const rnnx_tokens *words, rnnx_stream_answer *answer) {
  answer->words = calloc(words->count + 1, sizeof *answer->words);
  for (; answer->words && answer->word_count < words->count; answer->word_count++) {
    const size_t start = rnnx_token_start(words, answer->word_count), size = words->ends[answer->word_count] - start;
    char *word = malloc(size + 1);
    if (!word) return -1;
    memcpy(word, words->bytes + start, size);
    word[size] = 0;
    answer->words[answer->word_count] = word;
  }
  return answer->words ? 0 : -1;
}

static int describe(const rnnx_stream_model *model, const rnnx_stream_state *state, const rnnx_tokens *words,
                    rnnx_stream_answer *answer) {
  const size_t count = model->label_count;
  *answer = (rnnx_stream_answer){0};
  if (copy_words(words, answer)) return -1;
  if (!state->latest_count) return 0;
  if (model->is_rating) {
    answer->has_number = 1;
    answer->number = state->latest[0];
    return 0;
  }
  answer->probs = malloc(count * sizeof *answer->probs);
  if (!answer->probs) return -1;
  memcpy(answer->probs, state->latest, state->latest_count * sizeof *answer->probs);
  if (state->latest_count < count) { /* two labels may share an output: the probability of the second */
    answer->probs[1] = state->latest[0];
    answer->probs[0] = (float)(1 - (double)state->latest[0]);
  }
  size_t best = count == 2 && answer->probs[1] >= THRESHOLD;
  for (size_t i = 1; count > 2 && i < count; i++) best = answer->probs[i] > answer->probs[best] ? i : best;
  answer->label = model->labels[best];
  answer->probability = answer->probs[best];
  return 0;
}

/* Reads new words. It takes `held`, what is held back after them, and returns the new state. */
static rnnx_stream_state *read_words(const rnnx_stream_model *model, const rnnx_stream_state *state,
                                     const rnnx_tokens *words, int is_begun, char *held, size_t held_size,
                                     rnnx_stream_answer *answer, char *message) {
  const int has_start = is_begun && model->has_start;
  const size_t count = words->count + (size_t)has_start;
  int32_t *ids = look_up(model, words, has_start);
  rnnx_stream_state *next = NULL;
  if (!ids)
    rnnx_fail(message, "out of memory");
  else
    next = count ? run(model, state, ids, count, message) : copy_state(model, state, message);
  free(ids);
  if (!next) {
    free(held);
    return NULL;
  }
  next->positions = state->positions + (int64_t)count;
  next->held = held;
  next->held_size = held_size;
  if (!answer || !describe(model, next, words, answer)) return next;
  rnnx_fail(message, "out of memory");
  rnnx_stream_answer_free(answer);
  rnnx_stream_state_free(next);
  return NULL;
}

rnnx_stream_state *rnnx_stream_step(const rnnx_stream_model *model, const rnnx_stream_state *state, const char *chunk,
                                    size_t size, rnnx_stream_answer *answer, rnnx_stream_error *error) {
  char *message = error ? error->message : NULL, *held = NULL;
  rnnx_tokens words = {0};
  rnnx_stream_state *next = NULL;
  size_t held_size = 0;
  if (answer) *answer = (rnnx_stream_answer){0};
  if (state->float_count != model->float_count)
    rnnx_fail(message, "the state is not one of this model");
  else if (rnnx_cutter_feed(&model->cutter, state->held, state->held_size, chunk, size, &words, &held, &held_size))
    rnnx_fail(message, "out of memory");
  else
    next = read_words(model, state, &words, state->positions == 0 && words.count, held, held_size, answer, message);
  rnnx_tokens_free(&words);
  return next;
}

rnnx_stream_state *rnnx_stream_finish(const rnnx_stream_model *model, const rnnx_stream_state *state,
                                      rnnx_stream_answer *answer, rnnx_stream_error *error) {
  char *message = error ? error->message : NULL, *text = malloc(state->held_size + 1);
  rnnx_tokens words = {0};
  rnnx_stream_state *next = NULL;
  if (answer) *answer = (rnnx_stream_answer){0};
  if (text && state->held_size) memcpy(text, state->held, state->held_size);
  if (state->float_count != model->float_count)
    rnnx_fail(message, "the state is not one of this model");
  else if (!text || rnnx_cutter_finish(&model->cutter, text, state->held_size, &words))
    rnnx_fail(message, "out of memory");
  else
    next = read_words(model, state, &words, state->positions == 0, NULL, 0, answer, message);
  rnnx_tokens_free(&words);
  free(text);
  return next;
}

void rnnx_stream_answer_free(rnnx_stream_answer *answer) {
  for (size_t i = 0; i < answer->word_count; i++) free(answer->words[i]);
  free(answer->words);
  free(answer->probs);
  *answer = (rnnx_stream_answer){0};
}
