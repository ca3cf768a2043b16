#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"
#include "stream.h"

RNNX_EMBED(rnnx_golden, RNNX_GOLDEN_FILE);

/* What was read of a text so far. */
typedef struct {
  rnnx_stream_state *state;
  int32_t *ids; /* of its words */
  size_t count, room;
} progress;

/* Goes on to the next state, and adds the ids of the new words. */
static int go_on(const rnnx_stream_model *model, progress *now, rnnx_stream_state *next, rnnx_stream_answer *answer) {
  int failed = next ? 0 : -1;
  rnnx_stream_state_free(now->state);
  now->state = next;
  for (size_t i = 0; !failed && i < answer->word_count; i++) {
    failed = rnnx_grow((void **)&now->ids, &now->room, now->count, sizeof *now->ids);
    if (!failed) now->ids[now->count++] = rnnx_stream_id(model, answer->words[i], strlen(answer->words[i]));
  }
  rnnx_stream_answer_free(answer);
  return failed;
}

static int read_text(const rnnx_stream_model *model, const char *text, size_t size, size_t chunk, progress *now,
                     rnnx_stream_error *error) {
  rnnx_stream_answer answer;
  now->state = rnnx_stream_begin(model, error);
  int failed = now->state ? 0 : -1;
  for (size_t at = 0; !failed && at < size; at += chunk) {
    const size_t count = size - at < chunk ? size - at : chunk;
    failed = go_on(model, now, rnnx_stream_step(model, now->state, text + at, count, &answer, error), &answer);
  }
  return failed || go_on(model, now, rnnx_stream_finish(model, now->state, &answer, error), &answer);
}

/* Returns how far the outputs are from those of a row; infinity if the words are other ones. */
static double compare(const progress *now, const rnnx_json *row) {
  const rnnx_json *ids = rnnx_json_get(row, "ids", RNNX_LIST), *outputs = rnnx_json_get(row, "outputs", RNNX_LIST);
  double largest = 0;
  if (!ids || !outputs || ids->count < now->count || outputs->count != now->state->latest_count) return INFINITY;
  for (size_t i = 0; i < now->count; i++)
    if (ids->items[ids->count - now->count + i].number != (double)now->ids[i]) return INFINITY;
  for (size_t i = 0; i < outputs->count; i++) {
    const double difference = fabs(outputs->items[i].number - (double)now->state->latest[i]);
    largest = difference <= largest ? largest : difference; /* NaN stays */
  }
  return largest;
}

/* Reads a row in chunks; returns the difference, or -1 if it is not right. */
static double run_row(const rnnx_stream_model *model, const rnnx_json *row, size_t index, size_t chunk) {
  const rnnx_json *tolerance = rnnx_json_get(row, "tolerance", RNNX_NUMBER);
  rnnx_stream_error error = {"golden.json is damaged"};
  progress now = {0};
  size_t size;
  char *text = rnnx_json_read_hex(rnnx_json_get(row, "bytes", RNNX_STRING), &size);
  double difference = -1;
  if (!text || !tolerance || read_text(model, text, size, chunk, &now, &error)) {
    fprintf(stderr, "error: %s\n", error.message);
  } else {
    difference = compare(&now, row);
    if (!(difference <= tolerance->number)) {
      printf("golden text %zu in chunks of %zu: other words, or off by %g\n", index, chunk, difference);
      difference = -1;
    }
  }
  rnnx_stream_state_free(now.state);
  free(now.ids);
  free(text);
  return difference;
}

static double read_clock(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int rnnx_run_golden(const rnnx_stream_model *model) {
  static const size_t sizes[] = {1, 7, 1 << 20};
  rnnx_json *rows = rnnx_json_parse(rnnx_golden, (size_t)(rnnx_golden_end - rnnx_golden));
  const size_t row_count = rows && rows->kind == RNNX_LIST ? rows->count : 0;
  const double start = read_clock();
  double largest = 0;
  size_t count = 0;
  int is_right = row_count > 0;
  if (!is_right) fprintf(stderr, "error: golden.json has no texts\n");
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (size_t i = 0; is_right && i < row_count; i++, count++) {
      const double difference = run_row(model, &rows->items[i], i, sizes[k]);
      is_right = difference >= 0;
      largest = fmax(largest, difference);
    }
  rnnx_json_free(rows);
  if (is_right)
    printf("onnxruntime %s: %zu of %zu right, largest difference %.2g, %.0f us a text\n", rnnx_stream_runtime_version(),
           count, count, largest, (read_clock() - start) * 1e6 / (double)count);
  return is_right ? 0 : 1;
}
