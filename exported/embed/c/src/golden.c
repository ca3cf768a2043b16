#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"

RNNX_EMBED(rnnx_golden, RNNX_GOLDEN_FILE);

/* One row of golden.json. */
typedef struct {
  rnnx_text text;
  double *probs, tolerance;
} golden;

/* Within a JSON string a quote is escaped, so these keys are found where they are keys alone. */
static const char *find_value(const char *json, const char *key) {
  const char *at = strstr(json, key);
  return at ? at + strlen(key) : NULL;
}

static int read_digit(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

/* Reads the row that starts at a text of hexadecimal digits; returns where it ends, or NULL. */
static const char *read_row(const char *json, size_t label_count, golden *row) {
  const size_t size = strcspn(json, "\"") / 2;
  char *bytes = malloc(size + 1);
  row->probs = malloc(label_count * sizeof *row->probs);
  row->text = (rnnx_text){bytes, size};
  if (!bytes || !row->probs) return NULL;
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(16 * read_digit(json[2 * i]) + read_digit(json[2 * i + 1]));
  json = find_value(json, "\"text_probs\":");
  json = json ? strchr(json, '[') : NULL;
  for (size_t i = 0; json && i < label_count; i++) {
    char *end;
    row->probs[i] = strtod(json + 1, &end);
    end += strspn(end, " \r\n");
    json = *end == (i + 1 < label_count ? ',' : ']') ? end : NULL; /* as many as labels */
  }
  json = json ? find_value(json, "\"tolerance\":") : NULL;
  row->tolerance = json ? strtod(json, NULL) : 0;
  return json;
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
  static const char key[] = "\"bytes\": \"";
  const size_t labels = rnnx_classifier_label_count(classifier);
  size_t count = 0, most = 0;
  for (const char *at = rnnx_golden; (at = find_value(at, key));) most++;
  golden *rows = calloc(most + 1, sizeof *rows);
  rnnx_text *texts = calloc(most + 1, sizeof *texts);
  float *probs = calloc((most + 1) * labels, sizeof *probs);
  const char *json = rnnx_golden;
  int is_right = rows && texts && probs;
  while (is_right && (json = find_value(json, key))) {
    json = read_row(json, labels, &rows[count]);
    texts[count] = rows[count].text;
    count++;
    is_right = json != NULL;
  }
  if (is_right)
    is_right = compare_all(classifier, rows, texts, count, probs);
  else
    fprintf(stderr, "error: golden.json has no probability for each label\n");
  for (size_t i = 0; rows && i < count; i++) {
    free((char *)rows[i].text.bytes);
    free(rows[i].probs);
  }
  free(rows);
  free(texts);
  free(probs);
  return is_right ? 0 : 1;
}
