/* The command around the library. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "golden.h"
#include "rnnx_text_stream.h"

static const char usage[] =
    "usage: rnnx-text-stream TEXT | --file PATH | --golden | --help\n"
    "\n"
    "  TEXT          prints the label of a text and its probability\n"
    "  -- TEXT       the same, for a text that looks like an option\n"
    "  --file PATH   prints the answer so far after each line of a file; - is the standard input\n"
    "  --golden      compares with golden.json; exits with 1 at the first difference\n"
    "\n"
    "Without arguments, the text comes from the standard input, unless that is a terminal.\n";

enum { CHUNK_BYTES = 1 << 16 }; /* a longer line is read in pieces */

/* Prints an answer; returns whether there is one. */
static int print_answer(const rnnx_stream_answer *answer) {
  if (answer->has_number) printf("%.7g\n", (double)answer->number);
  if (answer->label) printf("%s\t%.6f\n", answer->label, (double)answer->probability);
  fflush(stdout);
  return answer->has_number || answer->label;
}

/* Reads a line with its end, or a piece of a long one. */
static size_t read_line(FILE *file, char *line) {
  size_t size = 0;
  for (int next; size < CHUNK_BYTES && (next = getc(file)) != EOF;) {
    line[size++] = (char)next;
    if (next == '\n') break;
  }
  return size;
}

/* Goes on to the next state; returns 0 if there is one. */
static int replace(rnnx_stream_state **state, rnnx_stream_state *next) {
  rnnx_stream_state_free(*state);
  *state = next;
  return next ? 0 : -1;
}

/* Prints the answer so far after each line as it comes, and after the word at the end of the text. */
static int answer_lines(const rnnx_stream_model *model, FILE *file, rnnx_stream_error *error) {
  static char line[CHUNK_BYTES];
  rnnx_stream_answer answer;
  rnnx_stream_state *state = rnnx_stream_begin(model, error);
  int failed = state ? 0 : -1, is_answered = 0;
  for (size_t size; !failed && (size = read_line(file, line));) {
    failed = replace(&state, rnnx_stream_step(model, state, line, size, &answer, error));
    is_answered = !failed && line[size - 1] == '\n' && print_answer(&answer);
    rnnx_stream_answer_free(&answer);
  }
  if (!failed && ferror(file)) {
    snprintf(error->message, sizeof error->message, "cannot read the text: %s", strerror(errno));
    failed = -1;
  }
  if (!failed) {
    failed = replace(&state, rnnx_stream_finish(model, state, &answer, error));
    if (!failed && (answer.word_count || !is_answered) && !print_answer(&answer)) putchar('\n');
    rnnx_stream_answer_free(&answer);
  }
  rnnx_stream_state_free(state);
  return failed;
}

static int answer_text(const rnnx_stream_model *model, const char *text, rnnx_stream_error *error) {
  rnnx_stream_answer answer = {0};
  rnnx_stream_state *state = rnnx_stream_begin(model, error);
  int failed = state ? 0 : -1;
  failed = failed || replace(&state, rnnx_stream_step(model, state, text, strlen(text), NULL, error));
  failed = failed || replace(&state, rnnx_stream_finish(model, state, &answer, error));
  if (!failed && !print_answer(&answer)) putchar('\n');
  rnnx_stream_answer_free(&answer);
  rnnx_stream_state_free(state);
  return failed;
}

/* Answers a text, or the lines of a file, or compares with the golden vectors if there is neither. Returns the exit
 * code. */
static int run(const char *text, FILE *file) {
  rnnx_stream_error error;
  rnnx_stream_model *model = rnnx_stream_load(NULL, &error);
  int code = model ? 0 : 1;
  if (model && !text && !file) {
    code = rnnx_run_golden(model);
  } else if (!model || (text ? answer_text(model, text, &error) : answer_lines(model, file, &error))) {
    fprintf(stderr, "error: %s\n", error.message);
    code = 1;
  }
  rnnx_stream_free(model);
  return code;
}

static int run_file(const char *path) {
  FILE *file = rnnx_open_input(path);
  const int code = file ? run(NULL, file) : 1;
  if (file && path) fclose(file);
  return code;
}

int main(int count, char **words) {
  const char *first = count > 1 ? words[1] : NULL;
  if (!first && !rnnx_is_terminal()) return run_file(NULL);
  if (count == 2 && (!strcmp(first, "--help") || !strcmp(first, "-h"))) return fputs(usage, stdout) < 0;
  if (count == 2 && !strcmp(first, "--golden")) return run(NULL, NULL);
  if (count == 3 && !strcmp(first, "--file")) return run_file(strcmp(words[2], "-") ? words[2] : NULL);
  if (count == 3 && !strcmp(first, "--")) return run(words[2], NULL);
  if (count == 2 && !rnnx_is_option(first)) return run(first, NULL);
  fputs(usage, stderr);
  return 2;
}
