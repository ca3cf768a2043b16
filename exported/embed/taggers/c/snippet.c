/* The shortest way from a text to its tags; see src/main.c for errors. */
#include <rnnx_tagger.h>
#include <stdio.h>

int main(void) {
  /* snippet */
  const char text[] = "They didn't see it. Nobody did!";
  rnnx_tagger *tagger = rnnx_tagger_load(NULL, NULL);
  rnnx_words answer;
  rnnx_tagger_tag(tagger, text, sizeof text - 1, &answer, NULL);
  for (size_t i = 0; i < answer.word_count; i++) {
    const rnnx_word word = answer.words[i];
    printf("%.*s/%s\n", (int)(word.end - word.start), text + word.start, word.tag);
  }
  rnnx_words_free(&answer);
  rnnx_tagger_free(tagger);
  /* end */
  return 0;
}
