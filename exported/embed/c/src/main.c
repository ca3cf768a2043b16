/* The command around the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "golden.h"
#include "rnnx_text_classifier.h"

static const char usage[] =
    "usage: rnnx-text-classifier TEXT | --file PATH | --golden | --help\n"
    "\n"
    "  TEXT          prints the label of a text and its probability\n"
    "  -- TEXT       the same, for a text that looks like an option\n"
    "  --file PATH   reads the text from a file; - is the standard input\n"
    "  --golden      compares with golden.json; exits with 1 at the first difference\n"
    "\n"
    "Without arguments, the text comes from the standard input, unless that is a terminal.\n";

static int print_answer(const char *text, size_t size) {
  rnnx_classifier_error error;
  rnnx_prediction prediction;
  rnnx_classifier *classifier = rnnx_classifier_load(NULL, &error);
  const int failed = !classifier || rnnx_classifier_predict(classifier, text, size, &prediction, NULL, &error);
  if (failed)
    fprintf(stderr, "error: %s\n", error.message);
  else
    printf("%s\t%.6f\n", prediction.label, prediction.probability);
  rnnx_classifier_free(classifier);
  return failed;
}

static int check_golden(void) {
  rnnx_classifier_error error;
  rnnx_classifier *classifier = rnnx_classifier_load(NULL, &error);
  if (!classifier) fprintf(stderr, "error: %s\n", error.message);
  const int code = classifier ? rnnx_run_golden(classifier) : 1;
  rnnx_classifier_free(classifier);
  return code;
}

static int print_answer_of_file(const char *path) {
  char *data;
  size_t size;
  const int failed = rnnx_read_input(path, &data, &size) || print_answer(data, size);
  free(data);
  return failed;
}

int main(int count, char **words) {
  const char *first = count > 1 ? words[1] : NULL;
  if (!first && !rnnx_is_terminal()) return print_answer_of_file(NULL);
  if (count == 2 && (!strcmp(first, "--help") || !strcmp(first, "-h"))) return fputs(usage, stdout) < 0;
  if (count == 2 && !strcmp(first, "--golden")) return check_golden();
  if (count == 3 && !strcmp(first, "--file")) return print_answer_of_file(strcmp(words[2], "-") ? words[2] : NULL);
  if (count == 3 && !strcmp(first, "--")) return print_answer(words[2], strlen(words[2]));
  if (count == 2 && !rnnx_is_option(first)) return print_answer(first, strlen(first));
  fputs(usage, stderr);
  return 2;
}
