/* A text in chunks, the answer so far after each: a streaming model with its vocabulary, on onnxruntime alone.
 *
 * Functions that can fail return 0 (or a pointer) on success and -1 (or NULL) on failure, and write the reason into
 * `error` unless that is NULL. Threads may share a model, and a state too.
 */
#ifndef RNNX_TEXT_STREAM_H
#define RNNX_TEXT_STREAM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A streaming model in memory. */
typedef struct rnnx_stream_model rnnx_stream_model;

/* Everything between two chunks. A state never changes: a step makes a new one. */
typedef struct rnnx_stream_state rnnx_stream_state;

/* The answer to all words so far. */
typedef struct {
  char **words; /* that this chunk finishes, in UTF-8 as far as the text is; each ends with a zero */
  size_t word_count;
  const char *label; /* belongs to the model; NULL before the first word, and for a model of ratings */
  float probability; /* of the label */
  float *probs;      /* of each label, in the order of the labels, if there is a label */
  int has_number;    /* whether there is an answer of a model of ratings: the number */
  float number;
} rnnx_stream_answer;

/* Why a function failed: one sentence. */
typedef struct {
  char message[1024];
} rnnx_stream_error;

/* Loads the files model.stream.onnx, vocabulary.txt and config.json in a folder; the model of this package if `folder`
 * is NULL.
 *
 * Sets ORT_DISABLE_TELEMETRY unless you have, so call it while no other thread reads or writes the environment. */
rnnx_stream_model *rnnx_stream_load(const char *folder, rnnx_stream_error *error);

/* Frees a model, which may be NULL. */
void rnnx_stream_free(rnnx_stream_model *model);

/* The number of labels, 0 for a model of ratings, and the labels, which belong to the model. */
size_t rnnx_stream_label_count(const rnnx_stream_model *model);
const char *const *rnnx_stream_labels(const rnnx_stream_model *model);

/* Returns the state before a text. Free each state with rnnx_stream_state_free. */
rnnx_stream_state *rnnx_stream_begin(const rnnx_stream_model *model, rnnx_stream_error *error);

/* Reads the next chunk of a text, and returns the new state; the one before stays as it is.
 *
 * A chunk is bytes, cut anywhere, also within a character of UTF-8. It may be empty. A word that may go on is held
 * back, so a chunk may finish no word. Free the answer with rnnx_stream_answer_free; it may be NULL. */
rnnx_stream_state *rnnx_stream_step(const rnnx_stream_model *model, const rnnx_stream_state *state, const char *chunk,
                                    size_t size, rnnx_stream_answer *answer, rnnx_stream_error *error);

/* Ends a text: reads the word that was held back. A text without words has an answer too, if texts have a start. */
rnnx_stream_state *rnnx_stream_finish(const rnnx_stream_model *model, const rnnx_stream_state *state,
                                      rnnx_stream_answer *answer, rnnx_stream_error *error);

void rnnx_stream_answer_free(rnnx_stream_answer *answer);

/* Frees a state, which may be NULL. */
void rnnx_stream_state_free(rnnx_stream_state *state);

/* Writes a state as JSON, which the packages for Node and Python read too. Free it with rnnx_stream_json_free. */
char *rnnx_stream_state_to_json(const rnnx_stream_model *model, const rnnx_stream_state *state,
                                rnnx_stream_error *error);
void rnnx_stream_json_free(char *json);

/* Reads a state of this model that was written as JSON in any of the languages. */
rnnx_stream_state *rnnx_stream_state_from_json(const rnnx_stream_model *model, const char *json, size_t size,
                                               rnnx_stream_error *error);

/* The version of onnxruntime. */
const char *rnnx_stream_runtime_version(void);

#ifdef __cplusplus
}
#endif

#endif
