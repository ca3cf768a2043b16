#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "errors.h"
#include "json.h"
#include "rnnx_text_classifier.h"
#include "session.h"

RNNX_EMBED(rnnx_model, RNNX_MODEL_FILE);

enum {
  MOST_BYTES = 1 << 20, /* of a batch: a long text does not widen the rows of many short ones */
  MOST_TEXTS = 1024     /* of a batch */
};

struct rnnx_classifier {
  rnnx_session session;
  char **labels;
  size_t label_count;
};

static char *message_of(rnnx_classifier_error *error) { return error ? error->message : NULL; }

/* The file says itself what its outputs mean. */
static int read_labels(rnnx_classifier *classifier, const char *name, char *message) {
  char *text;
  if (rnnx_session_read_metadata(&classifier->session, "rnnx", &text, message)) return -1;
  rnnx_json *about = text ? rnnx_json_parse(text, strlen(text)) : NULL;
  const rnnx_json *labels = rnnx_json_get(about, "labels", RNNX_LIST);
  classifier->label_count = labels ? labels->count : 0;
  classifier->labels = classifier->label_count ? rnnx_json_copy_strings(labels) : NULL;
  rnnx_json_free(about);
  free(text);
  return classifier->labels ? 0 : rnnx_fail(message, "%s: its metadata has no labels", name);
}

static int load(rnnx_classifier *classifier, const char *folder, rnnx_file *file, char *message) {
  const size_t size = (size_t)(rnnx_model_end - rnnx_model);
  return rnnx_file_read(file, folder, "model.text.onnx", rnnx_model, size, message) ||
                 rnnx_session_open(&classifier->session, file, message) ||
                 read_labels(classifier, file->name, message)
             ? -1
             : 0;
}

rnnx_classifier *rnnx_classifier_load(const char *folder, rnnx_classifier_error *error) {
  char *message = message_of(error);
  rnnx_file file = {0};
  rnnx_classifier *classifier = calloc(1, sizeof *classifier);
  const int failed = classifier ? load(classifier, folder, &file, message) : rnnx_fail(message, "out of memory");
  rnnx_file_free(&file);
  if (!failed) return classifier;
  rnnx_classifier_free(classifier);
  return NULL;
}

void rnnx_classifier_free(rnnx_classifier *classifier) {
  if (!classifier) return;
  rnnx_session_close(&classifier->session);
  rnnx_json_free_strings(classifier->labels, classifier->label_count);
  free(classifier);
}

size_t rnnx_classifier_label_count(const rnnx_classifier *classifier) { return classifier->label_count; }

const char *const *rnnx_classifier_labels(const rnnx_classifier *classifier) {
  return (const char *const *)classifier->labels;
}

const char *rnnx_classifier_runtime_version(void) { return rnnx_session_version(); }

/* Runs rows of bytes, and copies the probabilities. */
static int run(const rnnx_classifier *classifier, const uint8_t *rows, size_t count, size_t width, float *probs,
               char *message) {
  const rnnx_input input = {.name = "text", .bytes = rows, .shape = {(int64_t)count, (int64_t)width}, .rank = 2};
  rnnx_output output = {.name = "probs"};
  if (rnnx_session_run(&classifier->session, &input, 1, &output, 1, message)) return -1;
  const int failed = output.count != count * classifier->label_count
                         ? rnnx_fail(message, "the labels of the model are not those of its output")
                         : 0;
  if (!failed) memcpy(probs, output.data, output.count * sizeof *probs);
  free(output.data);
  return failed;
}

int rnnx_classifier_compute_probs(const rnnx_classifier *classifier, const rnnx_text *texts, size_t count, float *probs,
                                  rnnx_classifier_error *error) {
  size_t width = 1; /* rows are padded with zeros; an empty text is one zero */
  if (!count) return 0;
  for (size_t i = 0; i < count; i++) width = texts[i].size > width ? texts[i].size : width;
  uint8_t *rows = calloc(count, width);
  if (!rows) return rnnx_fail(message_of(error), "out of memory");
  for (size_t i = 0; i < count; i++)
    if (texts[i].size) memcpy(rows + i * width, texts[i].bytes, texts[i].size);
  const int failed = run(classifier, rows, count, width, probs, message_of(error));
  free(rows);
  return failed;
}

static rnnx_prediction describe(const rnnx_classifier *classifier, const float *probs) {
  size_t best = 0;
  for (size_t i = 1; i < classifier->label_count; i++) best = probs[i] > probs[best] ? i : best;
  return (rnnx_prediction){classifier->labels[best], probs[best]};
}

int rnnx_classifier_predict(const rnnx_classifier *classifier, const char *text, size_t size,
                            rnnx_prediction *prediction, float *probs, rnnx_classifier_error *error) {
  const rnnx_text texts[] = {{text, size}};
  return rnnx_classifier_predict_many(classifier, texts, 1, prediction, probs, error);
}

/* A text and its place among those that were given. */
typedef struct {
  rnnx_text text;
  size_t place;
} item;

static int compare_sizes(const void *left, const void *right) {
  const size_t a = ((const item *)left)->text.size, b = ((const item *)right)->text.size;
  return (a > b) - (a < b);
}

/* Reads the first items, as many as a batch has, and writes their answers in their places. Returns their number; 0 if
 * it failed. `texts` and `batch_probs` have room for a batch. */
static size_t read_batch(const rnnx_classifier *classifier, const item *items, size_t count, rnnx_text *texts,
                         float *batch_probs, rnnx_prediction *predictions, float *probs, rnnx_classifier_error *error) {
  const size_t labels = classifier->label_count;
  size_t size = 0;
  while (size < count && size < MOST_TEXTS && (!size || (size + 1) * items[size].text.size <= MOST_BYTES)) {
    texts[size] = items[size].text;
    size++;
  }
  if (rnnx_classifier_compute_probs(classifier, texts, size, batch_probs, error)) return 0;
  for (size_t i = 0; i < size; i++) {
    const float *row = batch_probs + i * labels;
    predictions[items[i].place] = describe(classifier, row);
    if (probs) memcpy(probs + items[i].place * labels, row, labels * sizeof *probs);
  }
  return size;
}

int rnnx_classifier_predict_many(const rnnx_classifier *classifier, const rnnx_text *texts, size_t count,
                                 rnnx_prediction *predictions, float *probs, rnnx_classifier_error *error) {
  const size_t most = count < MOST_TEXTS ? count : MOST_TEXTS;
  if (!count) return 0;
  item *items = malloc(count * sizeof *items);
  rnnx_text *batch = malloc(most * sizeof *batch);
  float *batch_probs = malloc(most * classifier->label_count * sizeof *batch_probs);
  int failed = items && batch && batch_probs ? 0 : rnnx_fail(message_of(error), "out of memory");
  if (!failed) {
    for (size_t i = 0; i < count; i++) items[i] = (item){texts[i], i};
    qsort(items, count, sizeof *items, compare_sizes);
  }
  for (size_t done = 0; !failed && done < count;) {
    const size_t size = read_batch(classifier, items + done, count - done, batch, batch_probs, predictions, probs, error);
    failed = size ? 0 : -1;
    done += size;
  }
  free(items);
  free(batch);
  free(batch_probs);
  return failed;
}
