/* The state between two chunks: a value, and its form in JSON. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "stream.h"

rnnx_stream_state *rnnx_stream_make_state(const rnnx_stream_model *model, size_t latest_count) {
  rnnx_stream_state *state = calloc(1, sizeof *state);
  if (!state) return NULL;
  state->float_count = model->float_count;
  state->latest_count = latest_count;
  state->arrays = calloc(model->float_count + 1, sizeof *state->arrays);
  state->latest = calloc(latest_count + 1, sizeof *state->latest);
  if (state->arrays && state->latest) return state;
  rnnx_stream_state_free(state);
  return NULL;
}

rnnx_stream_state *rnnx_stream_begin(const rnnx_stream_model *model, rnnx_stream_error *error) {
  rnnx_stream_state *state = rnnx_stream_make_state(model, 0);
  if (!state) rnnx_fail(error ? error->message : NULL, "out of memory");
  return state;
}

void rnnx_stream_state_free(rnnx_stream_state *state) {
  if (!state) return;
  free(state->arrays);
  free(state->held);
  free(state->latest);
  free(state);
}

/* Adds to a text of JSON. */
static int add(rnnx_tokens *json, const char *text) { return rnnx_tokens_add(json, text, strlen(text)); }

/* Adds a list of numbers, from which a float32 can be read back exactly. */
static int add_numbers(rnnx_tokens *json, const float *values, size_t count) {
  char digits[32];
  if (add(json, "[")) return -1;
  for (size_t i = 0; i < count; i++) {
    snprintf(digits, sizeof digits, "%s%.9g", i ? ", " : "", (double)values[i]);
    char *point = i ? digits + 2 : digits; /* the decimal point of the locale */
    while (*point && *point != *localeconv()->decimal_point) point++;
    if (*point) *point = '.';
    if (add(json, digits)) return -1;
  }
  return add(json, "]");
}

static int add_key(rnnx_tokens *json, const char *name) {
  char escaped[3] = {'\\', 0, 0};
  if (add(json, "\"")) return -1;
  for (; *name; name++) {
    escaped[1] = *name;
    if (rnnx_tokens_add(json, *name == '"' || *name == '\\' ? escaped : name, *name == '"' || *name == '\\' ? 2 : 1))
      return -1;
  }
  return add(json, "\": ");
}

static int write_state(const rnnx_stream_model *model, const rnnx_stream_state *state, rnnx_tokens *json) {
  char digits[64];
  const float *values = state->arrays;
  if (rnnx_tokens_begin(json) || add(json, "{\"arrays\": {")) return -1;
  for (size_t i = 0; i < model->array_count; values += model->arrays[i++].size)
    if ((i && add(json, ", ")) || add_key(json, model->arrays[i].name) ||
        add_numbers(json, values, model->arrays[i].size))
      return -1;
  snprintf(digits, sizeof digits, "}, \"positions\": %lld, \"held\": \"", (long long)state->positions);
  if (add(json, digits)) return -1;
  for (size_t i = 0; i < state->held_size; i++) {
    snprintf(digits, sizeof digits, "%02x", (unsigned char)state->held[i]);
    if (add(json, digits)) return -1;
  }
  return add(json, "\", \"latest\": ") || add_numbers(json, state->latest, state->latest_count) ||
                 rnnx_tokens_add(json, "}", 2) /* with its zero */
             ? -1
             : 0;
}

char *rnnx_stream_state_to_json(const rnnx_stream_model *model, const rnnx_stream_state *state,
                                rnnx_stream_error *error) {
  char *message = error ? error->message : NULL;
  rnnx_tokens json = {0};
  int failed = state->float_count == model->float_count ? 0 : rnnx_fail(message, "the state is not one of this model");
  if (!failed && write_state(model, state, &json)) failed = rnnx_fail(message, "out of memory");
  free(json.ends);
  if (!failed) return json.bytes;
  free(json.bytes);
  return NULL;
}

void rnnx_stream_json_free(char *json) { free(json); }

/* Reads a list of `count` finite numbers. */
static int read_numbers(const rnnx_json *list, float *values, size_t count) {
  if (!list || list->count != count) return -1;
  for (size_t i = 0; i < count; i++) {
    if (list->items[i].kind != RNNX_NUMBER || !isfinite((float)list->items[i].number)) return -1;
    values[i] = (float)list->items[i].number;
  }
  return 0;
}

static int read_state(const rnnx_stream_model *model, const rnnx_json *json, rnnx_stream_state *state) {
  const rnnx_json *arrays = rnnx_json_get(json, "arrays", RNNX_OBJECT);
  const rnnx_json *positions = rnnx_json_get(json, "positions", RNNX_NUMBER);
  float *values = state->arrays;
  if (!arrays || arrays->count != model->array_count) return -1;
  for (size_t i = 0; i < model->array_count; values += model->arrays[i++].size)
    if (read_numbers(rnnx_json_get(arrays, model->arrays[i].name, RNNX_LIST), values, model->arrays[i].size)) return -1;
  if (!positions || !(positions->number >= 0 && positions->number <= 0x1p53)) return -1;
  state->positions = (int64_t)positions->number;
  state->held = rnnx_json_read_hex(rnnx_json_get(json, "held", RNNX_STRING), &state->held_size);
  return state->held && state->positions == positions->number
             ? read_numbers(rnnx_json_get(json, "latest", RNNX_LIST), state->latest, state->latest_count)
             : -1;
}

rnnx_stream_state *rnnx_stream_state_from_json(const rnnx_stream_model *model, const char *json, size_t size,
                                               rnnx_stream_error *error) {
  rnnx_json *parsed = rnnx_json_parse(json, size);
  const rnnx_json *latest = rnnx_json_get(parsed, "latest", RNNX_LIST);
  rnnx_stream_state *state = latest ? rnnx_stream_make_state(model, latest->count) : NULL;
  const int failed = !state || read_state(model, parsed, state), is_json = parsed != NULL;
  rnnx_json_free(parsed);
  if (!failed) return state;
  rnnx_fail(error ? error->message : NULL, "this is not a state%s", is_json ? " of this model" : ": no JSON");
  rnnx_stream_state_free(state);
  return NULL;
}
