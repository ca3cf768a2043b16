/* Uses the C library of a kit: prints label and probability of a text, by the model of a folder if there is one. */
#include <rnnx_text_classifier.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 3002, LONG = 1000000 };

static rnnx_classifier_error error;

static void require(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "%s: %s\n", what, error.message);
  exit(3);
}

static int is_label(rnnx_prediction prediction, const rnnx_classifier *classifier, size_t label) {
  return prediction.label == rnnx_classifier_labels(classifier)[label];
}

/* Many texts of other lengths: their order is kept, and a long one does not change the others. */
static void read_many(const rnnx_classifier *classifier) {
  static rnnx_text texts[MANY];
  static rnnx_prediction predictions[MANY];
  static float probs[MANY][2];
  rnnx_prediction alone;
  char *words = malloc(LONG);
  for (size_t i = 0; i < LONG; i++) words[i] = "x "[i % 2];
  texts[0] = (rnnx_text){"awful", 5};
  texts[1] = (rnnx_text){words, LONG};
  texts[MANY - 1] = (rnnx_text){"wonderful", 9};
  require(!rnnx_classifier_predict_many(classifier, texts, MANY, predictions, probs[0], &error), "many texts");
  require(is_label(predictions[0], classifier, 0) && is_label(predictions[MANY - 1], classifier, 1), "the order");
  require(!rnnx_classifier_predict(classifier, NULL, 0, &alone, NULL, NULL), "an empty text");
  require(fabsf(alone.probability - predictions[2].probability) < 1e-6f, "an empty text among others");
  for (size_t i = 0; i < MANY; i++) require(fabsf(probs[i][0] + probs[i][1] - 1) < 1e-5f, "all probabilities");
  require(!rnnx_classifier_predict_many(classifier, NULL, 0, NULL, NULL, NULL), "no text");
  free(words);
}

int main(int count, char **words) {
  const char text[] = "A wonderful film.";
  rnnx_prediction prediction;
  float probs[2];
  require(!rnnx_classifier_load("absent", &error) && strstr(error.message, "cannot read absent"), "a missing model");
  require(!rnnx_classifier_load("absent", NULL), "nobody asks why");
  rnnx_classifier_free(NULL);
  rnnx_classifier *classifier = rnnx_classifier_load(count > 1 ? words[1] : NULL, &error);
  require(classifier != NULL, "load");
  require(rnnx_classifier_label_count(classifier) == 2, "labels");
  require(!rnnx_classifier_predict(classifier, text, strlen(text), &prediction, probs, &error), "one text");
  require(prediction.probability == probs[1], "the best label");
  if (count < 3) read_many(classifier);
  printf("%s\t%f\n", prediction.label, prediction.probability);
  rnnx_classifier_free(classifier);
  return 0;
}
