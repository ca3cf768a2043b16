/* Loads a streaming model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "errors.h"
#include "stream.h"

RNNX_EMBED(rnnx_model, RNNX_MODEL_FILE);
RNNX_EMBED(rnnx_words_known, RNNX_VOCABULARY_FILE);
RNNX_EMBED(rnnx_config, RNNX_CONFIG_FILE);
#define SIZE_OF(name) (size_t)(name##_end - name)

/* Copies two texts, one after the other. */
static char *join(const char *first, const char *second) {
  const size_t room = strlen(first) + strlen(second) + 1;
  char *text = malloc(room);
  if (text) snprintf(text, room, "%s%s", first, second);
  return text;
}

static int read_arrays(rnnx_stream_model *model, const rnnx_json *states) {
  if (!states || states->count + 1 > RNNX_MOST_PORTS) return -1;
  model->arrays = calloc(states->count + 1, sizeof *model->arrays);
  for (size_t i = 0; model->arrays && i < states->count; i++) {
    const char *name = states->items[i].key;
    const long size = rnnx_json_get_size(states, name, 1);
    if (size < 0) return -1;
    model->arrays[model->array_count++] =
        (rnnx_array){join(name, ""), join(name, "_in"), join(name, "_out"), (size_t)size};
    model->float_count += (size_t)size;
    if (!model->arrays[i].name || !model->arrays[i].input || !model->arrays[i].output) return -1;
  }
  return model->arrays ? 0 : -1;
}

/* Copies the name of the first of some inputs or outputs; NULL if there is none. */
static char *read_name(const rnnx_json *ports) {
  const rnnx_json *name = ports && ports->count ? rnnx_json_get(&ports->items[0], "name", RNNX_STRING) : NULL;
  return name ? join(name->text, "") : NULL;
}

static int read_config(rnnx_stream_model *model, const rnnx_json *config, const rnnx_file *vocabulary, const char *name,
                       char *message) {
  const rnnx_json *labels = rnnx_json_get(config, "labels", RNNX_LIST);
  const rnnx_json *tokenizer = rnnx_json_get(config, "tokenizer", RNNX_OBJECT);
  const long count = rnnx_json_get_size(config, "vocabulary_size", RNNX_SPECIAL_TOKENS);
  model->labels = rnnx_json_copy_strings(labels);
  model->label_count = model->labels ? labels->count : 0;
  model->is_rating = model->label_count == 0;
  model->has_start = rnnx_json_is_true(tokenizer, "start");
  model->input = read_name(rnnx_json_get(config, "inputs", RNNX_LIST));
  model->output = read_name(rnnx_json_get(config, "outputs", RNNX_LIST));
  if (!model->labels || model->label_count == 1 || !tokenizer || count < 0 || !model->input || !model->output ||
      read_arrays(model, rnnx_json_get(config, "states", RNNX_OBJECT)))
    return rnnx_fail(message, "%s is not that of a stream", name);
  if (rnnx_vocabulary_read(&model->vocabulary, vocabulary->data, vocabulary->size, (size_t)count))
    return rnnx_fail(message, "%s is not the vocabulary of this model", vocabulary->name);
  return rnnx_cutter_read(&model->cutter, config, model->vocabulary.longest, message);
}

static int read_files(rnnx_stream_model *model, const char *folder, rnnx_file files[3], char *message) {
  if (rnnx_file_read(&files[0], folder, "model.stream.onnx", rnnx_model, SIZE_OF(rnnx_model), message) ||
      rnnx_file_read(&files[1], folder, "vocabulary.txt", rnnx_words_known, SIZE_OF(rnnx_words_known), message) ||
      rnnx_file_read(&files[2], folder, "config.json", rnnx_config, SIZE_OF(rnnx_config), message))
    return -1;
  rnnx_json *config = rnnx_json_parse(files[2].data, files[2].size);
  const int failed = read_config(model, config, &files[1], files[2].name, message);
  rnnx_json_free(config);
  if (failed || rnnx_session_open(&model->session, &files[0], message)) return -1;
  if (rnnx_session_require_inputs(&model->session, model->array_count + 1))
    return rnnx_fail(message, "%s does not belong to this model", files[2].name);
  return 0;
}

rnnx_stream_model *rnnx_stream_load(const char *folder, rnnx_stream_error *error) {
  char *message = error ? error->message : NULL;
  rnnx_file files[3] = {{0}};
  rnnx_stream_model *model = calloc(1, sizeof *model);
  const int failed = model ? read_files(model, folder, files, message) : rnnx_fail(message, "out of memory");
  for (int i = 0; i < 3; i++) rnnx_file_free(&files[i]);
  if (!failed) return model;
  rnnx_stream_free(model);
  return NULL;
}

void rnnx_stream_free(rnnx_stream_model *model) {
  if (!model) return;
  rnnx_session_close(&model->session);
  rnnx_vocabulary_free(&model->vocabulary);
  rnnx_cutter_free(&model->cutter);
  rnnx_json_free_strings(model->labels, model->label_count);
  for (size_t i = 0; i < model->array_count; i++) {
    free(model->arrays[i].name);
    free(model->arrays[i].input);
    free(model->arrays[i].output);
  }
  free(model->arrays);
  free(model->input);
  free(model->output);
  free(model);
}

size_t rnnx_stream_label_count(const rnnx_stream_model *model) { return model->label_count; }

const char *const *rnnx_stream_labels(const rnnx_stream_model *model) { return (const char *const *)model->labels; }

const char *rnnx_stream_runtime_version(void) { return rnnx_session_version(); }
