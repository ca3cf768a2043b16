#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"
#include "files.h"
#include "tagger.h"

RNNX_EMBED(rnnx_golden, RNNX_GOLDEN_FILE);

/* Words of sentences in a row, in memory of their own, and their probabilities. */
typedef struct {
  rnnx_tagger_text *words;
  size_t *sizes, count, room;
  float *probs;
} sentences;

typedef struct {
  size_t count;
  double largest;
} result;

/* Whether the words of a text are those of a list of sentences, each a list of pairs. */
static int has_spans(const rnnx_spans *spans, const rnnx_json *expected) {
  size_t k = 0;
  if (!expected || expected->count != spans->sentences) return 0;
  for (size_t i = 0; i < expected->count; i++) {
    const rnnx_json *sentence = &expected->items[i];
    for (size_t j = 0; sentence->kind == RNNX_LIST && j < sentence->count; j++, k++) {
      const rnnx_json *pair = &sentence->items[j];
      const int is_pair = pair->kind == RNNX_LIST && pair->count == 2 && k < spans->count;
      if (!is_pair || spans->items[k].sentence != i || pair->items[0].number != (double)spans->items[k].start ||
          pair->items[1].number != (double)spans->items[k].end)
        return 0;
    }
  }
  return k == spans->count;
}

static int compare_texts(const rnnx_tagger *tagger, const rnnx_json *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    size_t size;
    rnnx_spans spans = {0};
    char *text = rnnx_json_read_hex(rnnx_json_get(&rows->items[i], "bytes", RNNX_STRING), &size);
    const int is_right = text && !rnnx_rule_split(rnnx_tagger_rule(tagger), text, size, &spans) &&
                         has_spans(&spans, rnnx_json_get(&rows->items[i], "sentences", RNNX_LIST));
    free(text);
    free(spans.items);
    if (!is_right) {
      printf("golden text %zu: other sentences or words\n", i);
      return 0;
    }
  }
  return 1;
}

/* Reads the words of all sentences; returns whether that worked. */
static int read_sentences(const rnnx_tagger *tagger, const rnnx_json *rows, sentences *all) {
  all->sizes = calloc(rows->count + 1, sizeof *all->sizes);
  for (size_t i = 0; all->sizes && i < rows->count; i++) {
    const rnnx_json *words = rnnx_json_get(&rows->items[i], "bytes", RNNX_LIST);
    for (size_t k = 0; words && k < words->count; k++) {
      size_t size;
      char *word = rnnx_json_read_hex(&words->items[k], &size);
      if (!word || rnnx_grow((void **)&all->words, &all->room, all->count, sizeof *all->words)) {
        free(word);
        return 0;
      }
      all->words[all->count++] = (rnnx_tagger_text){word, size};
      all->sizes[i]++;
    }
  }
  all->probs = malloc((all->count * rnnx_tagger_tag_count(tagger) + 1) * sizeof *all->probs);
  return all->sizes && all->probs && all->count;
}

static int has_number(const rnnx_json *list, size_t i, int32_t expected) {
  return list && i < list->count && list->items[i].kind == RNNX_NUMBER && list->items[i].number == (double)expected;
}

/* Whether a word has the ids, the tag and nearly the probability of a row. */
static int compare_word(const rnnx_tagger *tagger, const rnnx_json *row, size_t i, rnnx_tagger_text word,
                        const float *probs, rnnx_tokens *tokens, result *found) {
  int32_t ids[32];
  const size_t slots = rnnx_tagger_rule(tagger)->slot_count, best = rnnx_tagger_find_best(tagger, probs);
  const rnnx_json *features = rnnx_json_get(row, "features", RNNX_LIST), *tags = rnnx_json_get(row, "tags", RNNX_LIST);
  const rnnx_json *probabilities = rnnx_json_get(row, "probabilities", RNNX_LIST);
  const rnnx_json *tolerance = rnnx_json_get(row, "tolerance", RNNX_NUMBER);
  if (!features || !tags || !probabilities || !tolerance || i >= features->count || i >= tags->count ||
      i >= probabilities->count || slots >= sizeof ids / sizeof *ids)
    return 0;
  if (rnnx_tagger_look_up(tagger, word, tokens, ids) || !has_number(rnnx_json_get(row, "ids", RNNX_LIST), i, ids[0]) ||
      features->items[i].kind != RNNX_LIST || features->items[i].count != slots)
    return 0;
  for (size_t k = 0; k < slots; k++)
    if (!has_number(&features->items[i], k, ids[k + 1])) return 0;
  const double difference = fabs(probabilities->items[i].number - probs[best]);
  found->largest = fmax(found->largest, difference);
  found->count++;
  return tags->items[i].kind == RNNX_STRING && !strcmp(tags->items[i].text, rnnx_tagger_tags(tagger)[best]) &&
         difference <= tolerance->number;
}

static int compare_sentences(const rnnx_tagger *tagger, const rnnx_json *rows, const sentences *all, const char *where,
                             result *found) {
  rnnx_tokens tokens = {0};
  size_t at = 0;
  int is_right = 1;
  for (size_t i = 0; is_right && i < rows->count; i++) {
    const rnnx_json *tags = rnnx_json_get(&rows->items[i], "tags", RNNX_LIST);
    is_right = tags && tags->count == all->sizes[i];
    for (size_t k = 0; is_right && k < all->sizes[i]; k++, at++)
      is_right = compare_word(tagger, &rows->items[i], k, all->words[at],
                              all->probs + at * rnnx_tagger_tag_count(tagger), &tokens, found);
    if (!is_right) printf("golden sentence %zu %s: other ids or tags, or another probability\n", i, where);
  }
  rnnx_tokens_free(&tokens);
  return is_right;
}

static double now(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Each sentence alone, then all in batches. */
static int compute_and_compare(const rnnx_tagger *tagger, const rnnx_json *rows, const sentences *all) {
  rnnx_tagger_error error;
  result found = {0, 0};
  size_t first = 0;
  int failed = 0;
  const double start = now();
  for (size_t i = 0; !failed && i < rows->count; first += all->sizes[i++])
    failed = rnnx_tagger_compute(tagger, all->words + first, all->sizes + i, 1,
                                 all->probs + first * rnnx_tagger_tag_count(tagger), error.message);
  const double microseconds = (now() - start) * 1e6 / (double)rows->count;
  if (!failed && !compare_sentences(tagger, rows, all, "alone", &found)) return 0;
  failed = failed || rnnx_tagger_compute(tagger, all->words, all->sizes, rows->count, all->probs, error.message);
  if (failed) {
    fprintf(stderr, "error: %s\n", error.message);
    return 0;
  }
  if (!compare_sentences(tagger, rows, all, "in a batch", &found)) return 0;
  printf("onnxruntime %s: %zu of %zu right, largest difference %.2g, %.0f us a sentence\n",
         rnnx_tagger_runtime_version(), found.count, found.count, found.largest, microseconds);
  return 1;
}

int rnnx_run_golden(const rnnx_tagger *tagger) {
  rnnx_json *golden = rnnx_json_parse(rnnx_golden, (size_t)(rnnx_golden_end - rnnx_golden));
  const rnnx_json *texts = rnnx_json_get(golden, "texts", RNNX_LIST);
  const rnnx_json *rows = rnnx_json_get(golden, "sentences", RNNX_LIST);
  sentences all = {0};
  int is_right = 0;
  if (!texts || !rows || !read_sentences(tagger, rows, &all))
    fprintf(stderr, "error: golden.json has no sentences\n");
  else
    is_right = compare_texts(tagger, texts) && compute_and_compare(tagger, rows, &all);
  for (size_t i = 0; i < all.count; i++) free((char *)(uintptr_t)all.words[i].bytes);
  free(all.words);
  free(all.sizes);
  free(all.probs);
  rnnx_json_free(golden);
  return is_right ? 0 : 1;
}
