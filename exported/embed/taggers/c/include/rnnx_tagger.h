/* Text in, sentences of tagged words out: a tagger with its rules and its vocabulary, on onnxruntime alone.
 *
 * Functions that can fail return 0 (or a pointer) on success and -1 (or NULL) on failure, and write the reason into
 * `error` unless that is NULL. Threads may share a tagger.
 */
#ifndef RNNX_TAGGER_H
#define RNNX_TAGGER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tagger in memory. */
typedef struct rnnx_tagger rnnx_tagger;

/* A text: bytes, which need not be UTF-8, and their number. It may be empty. */
typedef struct {
  const char *bytes;
  size_t size;
} rnnx_tagger_text;

/* A word of a text: its first byte, the byte after its last, the number of its sentence, from 0 on, its most probable
 * tag, which belongs to the tagger, and the probability of that. */
typedef struct {
  size_t start, end, sentence;
  const char *tag;
  float probability;
} rnnx_word;

/* The words of a text in their order. A text without words has no sentence. */
typedef struct {
  rnnx_word *words;
  size_t word_count, sentence_count;
} rnnx_words;

/* Why a function failed: one sentence. */
typedef struct {
  char message[1024];
} rnnx_tagger_error;

/* Loads the files model.onnx, vocabulary.txt and config.json in a folder; that of this package if `folder` is NULL.
 *
 * Sets ORT_DISABLE_TELEMETRY unless you have, so call it while no other thread reads or writes the environment. */
rnnx_tagger *rnnx_tagger_load(const char *folder, rnnx_tagger_error *error);

/* Frees a tagger, which may be NULL. */
void rnnx_tagger_free(rnnx_tagger *tagger);

/* The number of tags, and the tags, which belong to the tagger. */
size_t rnnx_tagger_tag_count(const rnnx_tagger *tagger);
const char *const *rnnx_tagger_tags(const rnnx_tagger *tagger);

/* Splits one text into sentences of words, and tags the words. Free the answer with rnnx_words_free. */
int rnnx_tagger_tag(const rnnx_tagger *tagger, const char *text, size_t size, rnnx_words *answer,
                    rnnx_tagger_error *error);

/* Tags many texts, and answers in their order. After a failure there is no answer to free. */
int rnnx_tagger_tag_many(const rnnx_tagger *tagger, const rnnx_tagger_text *texts, size_t count, rnnx_words *answers,
                         rnnx_tagger_error *error);

/* Frees an answer. */
void rnnx_words_free(rnnx_words *answer);

/* The version of onnxruntime. */
const char *rnnx_tagger_runtime_version(void);

#ifdef __cplusplus
}
#endif

#endif
