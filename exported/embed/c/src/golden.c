#include "golden.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"
#include "json.h"

RNNX_EMBED(rnnx_golden, RNNX_GOLDEN_FILE);

/* One row of golden.json. */
typedef struct {
  rnnx_text text;
  double *probs, tolerance;
} golden;

/* Reads a row; returns whether it has a text, a probability for each label, and a tolerance. */
static int read_row(const rnnx_json *json, size_t label_count, golden *row) {
  const rnnx_json *probs = rnnx_json_get(json, "text_probs", RNNX_LIST);
  const rnnx_json *tolerance = rnnx_json_get(json, "tolerance", RNNX_NUMBER);
  row->text.bytes = rnnx_json_read_hex(rnnx_json_get(json, "bytes", RNNX_STRING), &row->text.size);
  row->probs = malloc(label_count * sizeof *row->probs);
  if (!row->text.bytes || !row->probs || !tolerance || !probs || probs->count != label_count) return 0;
  row->tolerance = tolerance->number;
  for (size_t i = 0; i < label_count; i++) {
    if (probs->items[i].kind != RNNX_NUMBER) return 0;
    row->probs[i] = probs->items[i].number;
  }
  return 1;
}

/* Compares probabilities with those of a row; returns whether they are near enough. */
static int compare(const golden *row, size_t index, const char *where, const float *probs, size_t label_count,
                   double *largest) {
  for (size_t i = 0; i < label_count; i++) {
    const double difference = fabs(probs[i] - row->probs[i]);
    if (!(difference <= row->tolerance)) {
      printf("golden text %zu %s: off by %g, more than %g\n", index, where, difference, row->tolerance);
      return 0;
    }
    *largest = fmax(*largest, difference);
  }
  return 1;
}

/* Compares all rows; returns whether they are near enough. */
static int compare_all(const rnnx_classifier *classifier, const golden *rows, const rnnx_text *texts, size_t count,
                       float *probs) {
  const size_t labels = rnnx_classifier_label_count(classifier);
  rnnx_classifier_error error = {"golden.json has no rows"};
  struct timespec start, end;
  double largest = 0;
  int failed = count == 0;
  for (size_t i = 0; i < count && !failed; i++) {
    failed = rnnx_classifier_compute_probs(classifier, texts + i, 1, probs, &error);
    if (!failed && !compare(&rows[i], i, "alone", probs, labels, &largest)) return 0;
  }
  timespec_get(&start, TIME_UTC);
  for (size_t i = 0; i < count && !failed; i++)
    failed = rnnx_classifier_compute_probs(classifier, texts + i, 1, probs, &error);
  timespec_get(&end, TIME_UTC);
  failed = failed || rnnx_classifier_compute_probs(classifier, texts, count, probs, &error);
  if (failed) {
    fprintf(stderr, "error: %s\n", error.message);
    return 0;
  }
  for (size_t i = 0; i < count; i++)
    if (!compare(&rows[i], i, "in a batch", probs + i * labels, labels, &largest)) return 0;
  const double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
  printf("onnxruntime %s: %zu of %zu right, largest difference %.2g, %.0f us a text\n",
         rnnx_classifier_runtime_version(), 2 * count, 2 * count, largest, seconds / (double)count * 1e6);
  return 1;
}

int rnnx_run_golden(const rnnx_classifier *classifier) {
  const size_t labels = rnnx_classifier_label_count(classifier);
  rnnx_json *json = rnnx_json_parse(rnnx_golden, (size_t)(rnnx_golden_end - rnnx_golden));
  const size_t count = json && json->kind == RNNX_LIST ? json->count : 0;
  golden *rows = calloc(count + 1, sizeof *rows);
  rnnx_text *texts = calloc(count + 1, sizeof *texts);
  float *probs = calloc((count + 1) * labels, sizeof *probs);
  int is_right = rows && texts && probs;
  for (size_t i = 0; is_right && i < count; i++) {
    is_right = read_row(&json->items[i], labels, &rows[i]);
    texts[i] = rows[i].text;
  }
  if (is_right)
    is_right = compare_all(classifier, rows, texts, count, probs);
  else
    fprintf(stderr, "error: golden.json has no probability for each label\n");
  for (size_t i = 0; rows && i < count; i++) {
    free((char *)(uintptr_t)rows[i].text.bytes);
    free(rows[i].probs);
  }
  rnnx_json_free(json);
  free(rows);
  free(texts);
  free(probs);
  return is_right ? 0 : 1;
}
