#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <onnxruntime_c_api.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "labels.h"
#include "rnnx_text_classifier.h"

RNNX_EMBED(rnnx_model, RNNX_MODEL_FILE);

enum {
  MOST_BYTES = 1 << 20, /* of a batch: a long text does not widen the rows of many short ones */
  MOST_TEXTS = 1024     /* of a batch */
};
#define MODEL "model.text.onnx"

struct rnnx_classifier {
  const OrtApi *ort;
  OrtEnv *env;
  OrtSession *session;
  OrtMemoryInfo *memory;
  char **labels;
  size_t label_count;
};

/* Writes a message and returns -1. */
static int fail(rnnx_classifier_error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (error) vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return -1;
}

/* Returns 0 if onnxruntime did what it was asked for; otherwise writes its message after `what`. */
static int check(const OrtApi *ort, OrtStatus *status, const char *what, rnnx_classifier_error *error) {
  if (!status) return 0;
  fail(error, "%s: %s", what, ort->GetErrorMessage(status));
  ort->ReleaseStatus(status);
  return -1;
}

/* Reads a file into memory of its own; NULL on failure. */
static char *read_file(const char *path, size_t *size, rnnx_classifier_error *error) {
  FILE *file = fopen(path, "rb");
  char *data = NULL;
  long length = -1;
  errno = file ? 0 : errno;
  if (file && !fseek(file, 0, SEEK_END) && (length = ftell(file)) >= 0 && !fseek(file, 0, SEEK_SET) &&
      (data = malloc((size_t)length + 1)) && fread(data, 1, (size_t)length, file) != (size_t)length) {
    free(data);
    data = NULL;
  }
  if (!data) fail(error, "cannot read %s: %s", path, errno ? strerror(errno) : "it ends too early");
  if (file) fclose(file);
  *size = data ? (size_t)length : 0;
  return data;
}

/* Starts onnxruntime without telemetry, unless ORT_DISABLE_TELEMETRY is set. */
static int create_environment(rnnx_classifier *classifier, rnnx_classifier_error *error) {
  const int is_unset = !getenv("ORT_DISABLE_TELEMETRY");
  const OrtApi *ort = classifier->ort;
#ifndef _WIN32
  if (is_unset) setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* read when the environment is made */
#endif
  return check(ort, ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "rnnx", &classifier->env), "onnxruntime", error) ||
                 /* for Windows, where nothing is sent until a session is made */
                 (is_unset && check(ort, ort->DisableTelemetryEvents(classifier->env), "onnxruntime", error))
             ? -1
             : 0;
}

static int create_session(rnnx_classifier *classifier, const char *model, size_t size, const char *what,
                          rnnx_classifier_error *error) {
  const OrtApi *ort = classifier->ort;
  OrtSessionOptions *options = NULL;
  const int failed =
      create_environment(classifier, error) || check(ort, ort->CreateSessionOptions(&options), "onnxruntime", error) ||
      check(ort, ort->SetIntraOpNumThreads(options, 1), "onnxruntime", error) || /* a recurrence only loses by more */
      check(ort, ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &classifier->memory), "onnxruntime",
            error) ||
      check(ort, ort->CreateSessionFromArray(classifier->env, model, size, options, &classifier->session), what, error);
  if (options) ort->ReleaseSessionOptions(options);
  return failed ? -1 : 0;
}

/* The file says itself what its outputs mean. */
static int read_metadata(rnnx_classifier *classifier, const char *what, rnnx_classifier_error *error) {
  const OrtApi *ort = classifier->ort;
  OrtModelMetadata *metadata = NULL;
  OrtAllocator *allocator = NULL;
  char *json = NULL;
  const int failed =
      check(ort, ort->GetAllocatorWithDefaultOptions(&allocator), what, error) ||
      check(ort, ort->SessionGetModelMetadata(classifier->session, &metadata), what, error) ||
      check(ort, ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "rnnx", &json), what, error);
  if (json) {
    classifier->labels = rnnx_read_labels(json, &classifier->label_count);
    allocator->Free(allocator, json);
  }
  if (metadata) ort->ReleaseModelMetadata(metadata);
  if (failed) return -1;
  return classifier->labels ? 0 : fail(error, "%s: its metadata has no labels", what);
}

static int load(rnnx_classifier *classifier, const char *model, size_t size, const char *name,
                rnnx_classifier_error *error) {
  char what[512];
  snprintf(what, sizeof what, "%s is not a whole model", name);
  classifier->ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!classifier->ort)
    return fail(error, "onnxruntime %s is older than its headers", OrtGetApiBase()->GetVersionString());
  if (create_session(classifier, model, size, what, error)) return -1;
  return read_metadata(classifier, what, error);
}

rnnx_classifier *rnnx_classifier_load(const char *folder, rnnx_classifier_error *error) {
  rnnx_classifier *classifier = calloc(1, sizeof *classifier);
  const size_t room = (folder ? strlen(folder) : 0) + sizeof "/" MODEL;
  char *path = malloc(room), *data = NULL;
  size_t size = (size_t)(rnnx_model_end - rnnx_model);
  int failed = -1;
  if (!classifier || !path) {
    fail(error, "out of memory");
  } else if (folder) {
    snprintf(path, room, "%s/%s", folder, MODEL);
    data = read_file(path, &size, error);
    failed = data ? load(classifier, data, size, path, error) : -1;
  } else if (size) {
    failed = load(classifier, rnnx_model, size, MODEL, error);
  } else {
    fail(error, "this program was built without a model: load it from a folder");
  }
  free(data);
  free(path);
  if (!failed) return classifier;
  rnnx_classifier_free(classifier);
  return NULL;
}

void rnnx_classifier_free(rnnx_classifier *classifier) {
  if (!classifier) return;
  rnnx_free_labels(classifier->labels, classifier->label_count);
  if (classifier->memory) classifier->ort->ReleaseMemoryInfo(classifier->memory);
  if (classifier->session) classifier->ort->ReleaseSession(classifier->session);
  if (classifier->env) classifier->ort->ReleaseEnv(classifier->env);
  free(classifier);
}

size_t rnnx_classifier_label_count(const rnnx_classifier *classifier) { return classifier->label_count; }

const char *const *rnnx_classifier_labels(const rnnx_classifier *classifier) {
  return (const char *const *)classifier->labels;
}

const char *rnnx_classifier_runtime_version(void) { return OrtGetApiBase()->GetVersionString(); }

/* Runs rows of bytes, and copies the probabilities. */
static int run(const rnnx_classifier *classifier, uint8_t *rows, size_t count, size_t width, float *probs,
               rnnx_classifier_error *error) {
  const OrtApi *ort = classifier->ort;
  const char *const input_names[] = {"text"}, *const output_names[] = {"probs"}, *what = "the model cannot be run";
  const int64_t shape[] = {(int64_t)count, (int64_t)width};
  OrtValue *text = NULL, *output = NULL;
  OrtTensorTypeAndShapeInfo *info = NULL;
  size_t size = 0;
  void *data = NULL;
  int failed = check(ort,
                     ort->CreateTensorWithDataAsOrtValue(classifier->memory, rows, count * width, shape, 2,
                                                         ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &text),
                     what, error) ||
               check(ort,
                     ort->Run(classifier->session, NULL, input_names, (const OrtValue *const *)&text, 1, output_names,
                              1, &output),
                     what, error) ||
               check(ort, ort->GetTensorTypeAndShape(output, &info), what, error) ||
               check(ort, ort->GetTensorShapeElementCount(info, &size), what, error) ||
               check(ort, ort->GetTensorMutableData(output, &data), what, error);
  if (!failed && size != count * classifier->label_count)
    failed = fail(error, "%s: its labels are not those of its output", what);
  if (!failed) memcpy(probs, data, size * sizeof *probs);
  if (info) ort->ReleaseTensorTypeAndShapeInfo(info);
  if (output) ort->ReleaseValue(output);
  if (text) ort->ReleaseValue(text);
  return failed ? -1 : 0;
}

int rnnx_classifier_compute_probs(const rnnx_classifier *classifier, const rnnx_text *texts, size_t count, float *probs,
                                  rnnx_classifier_error *error) {
  size_t width = 1; /* rows are padded with zeros; an empty text is one zero */
  if (!count) return 0;
  for (size_t i = 0; i < count; i++) width = texts[i].size > width ? texts[i].size : width;
  uint8_t *rows = calloc(count, width);
  if (!rows) return fail(error, "out of memory");
  for (size_t i = 0; i < count; i++)
    if (texts[i].size) memcpy(rows + i * width, texts[i].bytes, texts[i].size);
  const int failed = run(classifier, rows, count, width, probs, error);
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
  int failed = items && batch && batch_probs ? 0 : fail(error, "out of memory");
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
