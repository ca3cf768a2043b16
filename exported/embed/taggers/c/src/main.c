/* The command around the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "golden.h"
#include "rnnx_tagger.h"

static const char usage[] =
    "usage: rnnx-tagger TEXT | --file PATH | --golden | --help\n"
    "\n"
    "  TEXT          prints the words of a text: sentence, word, tag, probability\n"
    "  -- TEXT       the same, for a text that looks like an option\n"
    "  --file PATH   reads the text from a file; - is the standard input\n"
    "  --golden      compares with golden.json; exits with 1 at the first difference\n"
    "\n"
    "Without arguments, the text comes from the standard input, unless that is a terminal.\n";

static int print_words(const rnnx_tagger *tagger, const char *text, size_t size, rnnx_tagger_error *error) {
  rnnx_words answer;
  if (rnnx_tagger_tag(tagger, text, size, &answer, error)) return -1;
  for (size_t i = 0; i < answer.word_count; i++) {
    const rnnx_word word = answer.words[i];
    printf("%zu\t", word.sentence + 1);
    rnnx_print_word(text + word.start, word.end - word.start);
    printf("\t%s\t%.6f\n", word.tag, word.probability);
  }
  rnnx_words_free(&answer);
  return 0;
}

/* Tags a text, or compares with the golden vectors if there is none. Returns the exit code. */
static int run(const char *text, size_t size) {
  rnnx_tagger_error error;
  rnnx_tagger *tagger = rnnx_tagger_load(NULL, &error);
  int code = tagger ? 0 : 1;
  if (tagger && !text) {
    code = rnnx_run_golden(tagger);
  } else if (!tagger || print_words(tagger, text, size, &error)) {
    fprintf(stderr, "error: %s\n", error.message);
    code = 1;
  }
  rnnx_tagger_free(tagger);
  return code;
}

static int run_file(const char *path) {
  char *text;
  size_t size;
  const int code = rnnx_read_input(path, &text, &size) ? 1 : run(text, size);
  free(text);
  return code;
}

int main(int count, char **words) {
  const char *first = count > 1 ? words[1] : NULL;
  if (!first && !rnnx_is_terminal()) return run_file(NULL);
  if (count == 2 && (!strcmp(first, "--help") || !strcmp(first, "-h"))) return fputs(usage, stdout) < 0;
  if (count == 2 && !strcmp(first, "--golden")) return run(NULL, 0);
  if (count == 3 && !strcmp(first, "--file")) return run_file(strcmp(words[2], "-") ? words[2] : NULL);
  if (count == 3 && !strcmp(first, "--")) return run(words[2], strlen(words[2]));
  if (count == 2 && !rnnx_is_option(first)) return run(first, strlen(first));
  fputs(usage, stderr);
  return 2;
}
