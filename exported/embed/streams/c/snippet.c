/* The shortest way to read a text in chunks; see src/main.c for errors. */
#include <rnnx_text_stream.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  /* snippet */
  const char *const chunks[] = {"A wonder", "ful film; I loved ", "every minute of it."};
  rnnx_stream_model *model = rnnx_stream_load(NULL, NULL);
  rnnx_stream_state *state = rnnx_stream_begin(model, NULL);
  rnnx_stream_answer answer;
  for (size_t i = 0; i < 3; i++) {
    rnnx_stream_state *next = rnnx_stream_step(model, state, chunks[i], strlen(chunks[i]), NULL, NULL);
    rnnx_stream_state_free(state);
    state = next;
  }
  rnnx_stream_state *end = rnnx_stream_finish(model, state, &answer, NULL);
  printf("%s %f\n", answer.label, answer.probability);
  /* end */
  rnnx_stream_answer_free(&answer);
  rnnx_stream_state_free(state);
  rnnx_stream_state_free(end);
  rnnx_stream_free(model);
  return 0;
}
