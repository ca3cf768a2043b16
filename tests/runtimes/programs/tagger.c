/* Uses the C library of a kit for a tagger: prints the words of texts as JSON, by the model of a folder if there is one.
 * The texts are on the standard input, in hexadecimal, separated by commas. */
#include <rnnx_tagger.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 24, MOST_TEXTS = 1 << 14, MANY = 1500 };

static rnnx_tagger_error error;

static void require(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "%s: %s\n", what, error.message);
  exit(3);
}

static size_t read_texts(char *bytes, rnnx_tagger_text *texts) {
  size_t count = 0;
  unsigned byte;
  texts[count++] = (rnnx_tagger_text){bytes, 0};
  for (int next = getchar(); next != EOF; next = getchar()) {
    if (next == ',') {
      texts[count] = (rnnx_tagger_text){texts[count - 1].bytes + texts[count - 1].size, 0};
      count++;
      continue;
    }
    ungetc(next, stdin);
    require(scanf("%2x", &byte) == 1, "hexadecimal");
    bytes[texts[count - 1].bytes - bytes + (long)texts[count - 1].size++] = (char)byte;
  }
  return count;
}

static void print_words(rnnx_words answer) {
  printf("[");
  for (size_t i = 0; i < answer.word_count; i++) {
    const rnnx_word word = answer.words[i];
    const int is_new = i && word.sentence != answer.words[i - 1].sentence;
    printf("%s[%zu,%zu,\"%s\",%.9g]", is_new ? "],[" : i ? "," : "[", word.start, word.end, word.tag, word.probability);
  }
  printf(answer.word_count ? "]]" : "]");
}

/* A long sentence has all its words, and many texts are answered in their order. */
static void read_many(const rnnx_tagger *tagger) {
  static rnnx_tagger_text texts[MANY];
  static rnnx_words answers[MANY];
  static char text[5 * 2000];
  for (size_t i = 0; i < sizeof text; i++) text[i] = "word "[i % 5];
  texts[3] = (rnnx_tagger_text){text, sizeof text};
  texts[MANY - 1] = (rnnx_tagger_text){"Good. Bad.", 10};
  require(!rnnx_tagger_tag_many(tagger, texts, MANY, answers, &error), "many texts");
  require(!answers[0].word_count && !answers[0].sentence_count, "an empty text");
  require(answers[3].word_count == 2000 && answers[3].sentence_count == 1, "a long sentence");
  require(answers[MANY - 1].word_count == 4 && answers[MANY - 1].sentence_count == 2, "the last text");
  for (size_t i = 0; i < MANY; i++) rnnx_words_free(&answers[i]);
  require(!rnnx_tagger_tag_many(tagger, NULL, 0, NULL, NULL), "no text");
}

int main(int count, char **words) {
  require(!rnnx_tagger_load("absent", &error) && strstr(error.message, "cannot read absent/model.onnx"), "no model");
  require(!rnnx_tagger_load("absent", NULL), "nobody asks why");
  rnnx_tagger_free(NULL);
  rnnx_tagger *tagger = rnnx_tagger_load(count > 1 ? words[1] : NULL, &error);
  require(tagger != NULL, "load");
  require(rnnx_tagger_tag_count(tagger) > 1 && !strcmp(rnnx_tagger_tags(tagger)[0], "ADJ"), "tags");
  read_many(tagger);
  char *bytes = malloc(MOST_BYTES);
  rnnx_tagger_text *texts = malloc(MOST_TEXTS * sizeof *texts);
  rnnx_words *answers = malloc(MOST_TEXTS * sizeof *answers);
  require(bytes && texts && answers, "memory");
  const size_t text_count = read_texts(bytes, texts);
  require(!rnnx_tagger_tag_many(tagger, texts, text_count, answers, &error), "tag");
  for (size_t i = 0; i < text_count; i++) {
    printf(i ? ",\n" : "[");
    print_words(answers[i]);
    rnnx_words_free(&answers[i]);
  }
  printf("]\n");
  free(answers);
  free(texts);
  free(bytes);
  rnnx_tagger_free(tagger);
  return 0;
}
