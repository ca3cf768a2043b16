/* Uses the C library of a kit for a stream: prints words and answers as JSON, by the model of a folder if there is one.
 * The texts are on the standard input: the chunks of a text in hexadecimal, each after a comma, and a line end.
 *
 * usage: stream_c [FOLDER]
 *        stream_c go-on CHUNK, which reads a state in JSON, and prints the words, the answer and the new state */
#include <rnnx_text_stream.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

static rnnx_stream_error error;

static void require(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "%s: %s\n", what, error.message);
  exit(3);
}

static void print_answer(const rnnx_stream_model *model, rnnx_stream_answer *answer) {
  printf("[[");
  for (size_t i = 0; i < answer->word_count; i++) {
    printf(i ? ",\"" : "\"");
    for (const char *at = answer->words[i]; *at; at++) printf("%02x", (unsigned char)*at);
    printf("\"");
  }
  if (answer->label) {
    printf("],\"%s\",%.9g,[", answer->label, answer->probability);
    for (size_t i = 0; i < rnnx_stream_label_count(model); i++) printf("%s%.9g", i ? "," : "", answer->probs[i]);
    printf("]]");
  } else {
    printf("],null,null,[]]");
  }
  rnnx_stream_answer_free(answer);
}

/* A step changes no state, and one that was saved goes on in the same way. */
static void compare_saved(const rnnx_stream_model *model, const rnnx_stream_state *before, const char *chunk, size_t size,
                          const rnnx_stream_state *after) {
  char *json = rnnx_stream_state_to_json(model, before, &error);
  require(json != NULL, "save");
  rnnx_stream_state *saved = rnnx_stream_state_from_json(model, json, strlen(json), &error);
  require(saved != NULL, "read");
  rnnx_stream_state *next = rnnx_stream_step(model, saved, chunk, size, NULL, &error);
  require(next != NULL, "go on");
  char *found = rnnx_stream_state_to_json(model, next, NULL), *expected = rnnx_stream_state_to_json(model, after, NULL);
  require(found && expected && !strcmp(found, expected), "a saved state goes on differently");
  rnnx_stream_state_free(saved);
  rnnx_stream_state_free(next);
  rnnx_stream_json_free(json);
  rnnx_stream_json_free(found);
  rnnx_stream_json_free(expected);
}

static int peek(void) {
  const int next = getchar();
  return next == EOF ? EOF : ungetc(next, stdin);
}

/* Reads the next chunk; returns 0 at the end of a text, and -1 at the end of all texts. */
static int read_chunk(char *chunk, size_t *size) {
  unsigned byte;
  const int first = getchar();
  *size = 0;
  if (first == EOF) return -1;
  while (first == ',' && peek() != ',' && peek() != '\n') {
    require(*size < MOST_BYTES && scanf("%2x", &byte) == 1, "hexadecimal");
    chunk[(*size)++] = (char)byte;
  }
  return first == ',';
}

static int read_text(const rnnx_stream_model *model, char *chunk, int is_first, int is_compared) {
  rnnx_stream_answer answer;
  size_t size;
  int more = read_chunk(chunk, &size);
  if (more < 0) return 0;
  printf(is_first ? "[[" : ",\n[");
  rnnx_stream_state *state = rnnx_stream_begin(model, &error);
  require(state != NULL, "begin");
  for (; more > 0; more = read_chunk(chunk, &size)) {
    rnnx_stream_state *next = rnnx_stream_step(model, state, chunk, size, &answer, &error);
    require(next != NULL, "step");
    if (is_compared) compare_saved(model, state, chunk, size, next);
    print_answer(model, &answer);
    printf(",");
    rnnx_stream_state_free(state);
    state = next;
  }
  rnnx_stream_state *end = rnnx_stream_finish(model, state, &answer, &error);
  require(end != NULL, "finish");
  print_answer(model, &answer);
  printf("]");
  rnnx_stream_state_free(state);
  rnnx_stream_state_free(end);
  return 1;
}

static void go_on(const rnnx_stream_model *model, char *text, const char *chunk) {
  rnnx_stream_answer answer;
  rnnx_stream_state *state = rnnx_stream_state_from_json(model, text, fread(text, 1, MOST_BYTES, stdin), &error);
  require(state != NULL, "a state");
  rnnx_stream_state *next = rnnx_stream_step(model, state, chunk, strlen(chunk), &answer, &error);
  require(next != NULL, "go on");
  for (size_t i = 0; i < answer.word_count; i++) printf(i ? ",%s" : "%s", answer.words[i]);
  printf("\n%s\t%.9g\n", answer.label, answer.probability);
  char *json = rnnx_stream_state_to_json(model, next, &error);
  require(json != NULL, "save");
  printf("%s\n", json);
  rnnx_stream_json_free(json);
  rnnx_stream_answer_free(&answer);
  rnnx_stream_state_free(state);
  rnnx_stream_state_free(next);
}

int main(int count, char **words) {
  static char chunk[MOST_BYTES];
  static const char wrong[] = "{\"arrays\": {\"h\": [0]}, \"positions\": 0, \"held\": \"\", \"latest\": []}";
  require(!rnnx_stream_load("absent", &error) && strstr(error.message, "cannot read absent/model.stream"), "no model");
  require(!rnnx_stream_load("absent", NULL), "nobody asks why");
  rnnx_stream_free(NULL);
  rnnx_stream_model *model = rnnx_stream_load(count == 2 ? words[1] : NULL, &error);
  require(model != NULL, "load");
  require(rnnx_stream_label_count(model) == 2 && !strcmp(rnnx_stream_labels(model)[1], "pos"), "labels");
  require(!rnnx_stream_state_from_json(model, wrong, strlen(wrong), &error), "the state of another model");
  require(!rnnx_stream_state_from_json(model, "{", 1, &error) && strstr(error.message, "no JSON"), "half a state");
  if (count > 2)
    go_on(model, chunk, words[2]);
  else
    for (int i = 0; read_text(model, chunk, i == 0, i % 16 == 0); i++) continue;
  if (count < 3) printf("]\n");
  rnnx_stream_free(model);
  return 0;
}
