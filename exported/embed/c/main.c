/* Text in, label and probability out, with onnxruntime's C API alone.
 *
 *   build/main "A wonderful film."    prints the label and its probability
 *   build/main --golden               compares with golden.json; exits with 1 at the first difference
 *
 * Run it where model.text.onnx and golden.json lie.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <onnxruntime_c_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_LABELS = 64, MOST_ROWS = 1000 };

static const OrtApi *ort;

static void check(OrtStatus *status) {
  if (!status) return;
  fprintf(stderr, "onnxruntime: %s\n", ort->GetErrorMessage(status));
  exit(1);
}

typedef struct {
  OrtEnv *env;
  OrtSession *session;
  OrtMemoryInfo *memory;
  char *labels[MOST_LABELS];
  size_t label_count;
} Classifier;

/* The strings of the first array behind `key` in a JSON text; labels have no escapes but \" and \\. */
static size_t read_strings(const char *json, const char *key, char **strings, size_t most) {
  const char *at = strstr(json, key);
  size_t count = 0;
  if (!at || !(at = strchr(at, '['))) return 0;
  for (at++; *at && *at != ']' && count < most;) {
    if (*at++ != '"') continue;
    char *out = strings[count++] = malloc(strlen(at) + 1);
    for (; *at && *at != '"'; at++) *out++ = *at == '\\' ? *++at : *at;
    *out = 0;
    at += *at == '"';
  }
  return count;
}

static void load(Classifier *classifier, const char *path) {
  OrtSessionOptions *options;
  OrtModelMetadata *metadata;
  OrtAllocator *allocator;
  char *json;
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "rnnx", &classifier->env));
  check(ort->CreateSessionOptions(&options));
  check(ort->SetIntraOpNumThreads(options, 1)); /* a recurrence only loses by more */
  check(ort->CreateSession(classifier->env, path, options, &classifier->session));
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &classifier->memory));
  /* The file says itself what its outputs mean. */
  check(ort->GetAllocatorWithDefaultOptions(&allocator));
  check(ort->SessionGetModelMetadata(classifier->session, &metadata));
  check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "rnnx", &json));
  classifier->label_count = json ? read_strings(json, "\"labels\"", classifier->labels, MOST_LABELS) : 0;
  if (!classifier->label_count) {
    fprintf(stderr, "%s: no labels in its metadata\n", path);
    exit(1);
  }
  check(ort->AllocatorFree(allocator, json));
  ort->ReleaseModelMetadata(metadata);
  ort->ReleaseSessionOptions(options);
}

static void release(Classifier *classifier) {
  for (size_t i = 0; i < classifier->label_count; i++) free(classifier->labels[i]);
  ort->ReleaseMemoryInfo(classifier->memory);
  ort->ReleaseSession(classifier->session);
  ort->ReleaseEnv(classifier->env);
}

/* Rows of bytes, padded with zeros (an empty text is one zero), to rows of probabilities, one per label. */
static void predict(const Classifier *classifier, uint8_t *rows, size_t count, size_t width, float *probs) {
  const char *const input_names[] = {"text"}, *const output_names[] = {"probs"};
  const int64_t shape[] = {(int64_t)count, (int64_t)width};
  OrtValue *text = NULL, *output = NULL;
  void *data;
  check(ort->CreateTensorWithDataAsOrtValue(classifier->memory, rows, count * width, shape, 2,
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &text));
  check(ort->Run(classifier->session, NULL, input_names, (const OrtValue *const *)&text, 1, output_names, 1, &output));
  check(ort->GetTensorMutableData(output, &data));
  memcpy(probs, data, count * classifier->label_count * sizeof *probs);
  ort->ReleaseValue(output);
  ort->ReleaseValue(text);
}

static size_t find_best(const float *probs, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++) best = probs[i] > probs[best] ? i : best;
  return best;
}

/* One row of golden.json. */
typedef struct {
  uint8_t *text;
  size_t length;
  double probs[MOST_LABELS], tolerance;
} Golden;

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) {
    perror(path);
    exit(1);
  }
  const size_t size = (size_t)ftell(file);
  char *data = calloc(size + 1, 1);
  rewind(file);
  if (fread(data, 1, size, file) != size) {
    perror(path);
    exit(1);
  }
  fclose(file);
  return data;
}

/* Within a JSON string a quote is escaped, so these keys are found where they are keys alone. */
static const char *find_value(const char *json, const char *key) {
  const char *at = strstr(json, key);
  return at ? at + strlen(key) : NULL;
}

static size_t read_golden(const char *json, size_t label_count, Golden *rows) {
  size_t count = 0;
  for (; count < MOST_ROWS && (json = find_value(json, "\"bytes\": \"")); count++) {
    Golden *row = &rows[count];
    row->length = (size_t)(strchr(json, '"') - json) / 2;
    row->text = calloc(row->length + 1, 1);
    for (size_t i = 0; i < row->length; i++) sscanf(json + 2 * i, "%2hhx", &row->text[i]);
    json = strchr(find_value(json, "\"text_probs\":"), '[') + 1;
    for (size_t i = 0; i < label_count; i++) {
      char *end;
      row->probs[i] = strtod(json, &end);
      json = end + strspn(end, " \r\n,");
    }
    row->tolerance = strtod(find_value(json, "\"tolerance\":"), NULL);
  }
  return count;
}

/* Compares probabilities with those of a row; returns the largest difference, or -1 if it is too large. */
static double compare(const Golden *row, size_t index, const char *where, const float *probs, size_t label_count) {
  double largest = 0;
  for (size_t i = 0; i < label_count; i++) {
    const double difference = fabs(probs[i] - row->probs[i]);
    if (!(difference <= row->tolerance)) {
      printf("golden text %zu %s: off by %g, more than %g\n", index, where, difference, row->tolerance);
      return -1;
    }
    largest = fmax(largest, difference);
  }
  return largest;
}

static int run_golden(const Classifier *classifier) {
  static Golden rows[MOST_ROWS];
  char *json = read_file("golden.json");
  const size_t count = read_golden(json, classifier->label_count, rows), labels = classifier->label_count;
  size_t width = 1;
  double largest = 0;
  float probs[MOST_LABELS];
  struct timespec start, end;
  int failed = count == 0;
  for (size_t i = 0; i < count && !failed; i++) {
    predict(classifier, rows[i].text, 1, rows[i].length ? rows[i].length : 1, probs);
    const double difference = compare(&rows[i], i, "alone", probs, labels);
    failed = difference < 0;
    largest = fmax(largest, difference);
    width = rows[i].length > width ? rows[i].length : width;
  }
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (size_t i = 0; i < count; i++) predict(classifier, rows[i].text, 1, rows[i].length ? rows[i].length : 1, probs);
  clock_gettime(CLOCK_MONOTONIC, &end);
  uint8_t *batch = calloc(count, width);
  float *batch_probs = calloc(count * labels, sizeof *batch_probs);
  for (size_t i = 0; i < count; i++) memcpy(batch + i * width, rows[i].text, rows[i].length);
  if (!failed) predict(classifier, batch, count, width, batch_probs);
  for (size_t i = 0; i < count && !failed; i++) {
    const double difference = compare(&rows[i], i, "in a batch", batch_probs + i * labels, labels);
    failed = difference < 0;
    largest = fmax(largest, difference);
  }
  if (!failed) {
    const double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    printf("onnxruntime %s: %zu of %zu right, largest difference %.2g, %.0f us a text\n",
           OrtGetApiBase()->GetVersionString(), 2 * count, 2 * count, largest, seconds / (double)count * 1e6);
  }
  for (size_t i = 0; i < count; i++) free(rows[i].text);
  free(batch), free(batch_probs), free(json);
  return failed;
}

int main(int argc, char **argv) {
  Classifier classifier = {0};
  int code = 0;
  if (argc != 2) {
    fprintf(stderr, "usage: %s TEXT | --golden\n", argv[0]);
    return 2;
  }
  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* onnxruntime reads it when its environment is made */
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!ort) {
    fprintf(stderr, "onnxruntime %s is older than its headers\n", OrtGetApiBase()->GetVersionString());
    return 1;
  }
  load(&classifier, "model.text.onnx");
  if (!strcmp(argv[1], "--golden")) {
    code = run_golden(&classifier);
  } else {
    float probs[MOST_LABELS];
    const size_t length = strlen(argv[1]);
    predict(&classifier, (uint8_t *)argv[1], 1, length ? length : 1, probs); /* an empty string ends in a zero */
    const size_t best = find_best(probs, classifier.label_count);
    printf("%s\t%.6f\n", classifier.labels[best], probs[best]);
  }
  release(&classifier);
  return code;
}
