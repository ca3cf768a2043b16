#include "tagger.h"

#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "errors.h"
#include "files.h"
#include "session.h"

RNNX_EMBED(rnnx_model, RNNX_MODEL_FILE);
RNNX_EMBED(rnnx_words_known, RNNX_VOCABULARY_FILE);
RNNX_EMBED(rnnx_config, RNNX_CONFIG_FILE);
#define SIZE_OF(name) (size_t)(name##_end - name)

enum {
  MOST_WORDS = 1 << 14, /* of a batch, with its padding: a long sentence does not widen the rows of many short ones */
  MOST_PIECES = 256,    /* of a batch */
  TEXTS_AT_ONCE = 1024
};

struct rnnx_tagger {
  rnnx_session session;
  rnnx_vocabulary vocabulary;
  rnnx_rule rule;
  char **tags;
  size_t tag_count, longest; /* the most words of a piece of a sentence */
};

static int read_config(rnnx_tagger *tagger, const rnnx_json *config, const rnnx_file *vocabulary, const char *name,
                       char *message) {
  const rnnx_json *labels = rnnx_json_get(config, "labels", RNNX_LIST);
  const long count = rnnx_json_get_size(config, "vocabulary_size", RNNX_SPECIAL_TOKENS);
  const long longest = rnnx_json_get_size(rnnx_json_get(config, "words", RNNX_OBJECT), "max_length", 1);
  if (!config || count < 0 || longest < 0 || !labels || labels->count < 2 ||
      !(tagger->tags = rnnx_json_copy_strings(labels)))
    return rnnx_fail(message, "%s is not that of a tagger", name);
  tagger->tag_count = labels->count;
  tagger->longest = (size_t)longest;
  if (rnnx_vocabulary_read(&tagger->vocabulary, vocabulary->data, vocabulary->size, (size_t)count))
    return rnnx_fail(message, "%s is not the vocabulary of this model", vocabulary->name);
  return rnnx_rule_read(&tagger->rule, config, &tagger->vocabulary, message);
}

static int read_files(rnnx_tagger *tagger, const char *folder, rnnx_file files[3], char *message) {
  if (rnnx_file_read(&files[0], folder, "model.onnx", rnnx_model, SIZE_OF(rnnx_model), message) ||
      rnnx_file_read(&files[1], folder, "vocabulary.txt", rnnx_words_known, SIZE_OF(rnnx_words_known), message) ||
      rnnx_file_read(&files[2], folder, "config.json", rnnx_config, SIZE_OF(rnnx_config), message))
    return -1;
  rnnx_json *config = rnnx_json_parse(files[2].data, files[2].size);
  const int failed = read_config(tagger, config, &files[1], files[2].name, message);
  rnnx_json_free(config);
  return failed || rnnx_session_open(&tagger->session, &files[0], message) ? -1 : 0;
}

rnnx_tagger *rnnx_tagger_load(const char *folder, rnnx_tagger_error *error) {
  char *message = error ? error->message : NULL;
  rnnx_file files[3] = {{0}};
  rnnx_tagger *tagger = calloc(1, sizeof *tagger);
  const int failed = tagger ? read_files(tagger, folder, files, message) : rnnx_fail(message, "out of memory");
  for (int i = 0; i < 3; i++) rnnx_file_free(&files[i]);
  if (!failed) return tagger;
  rnnx_tagger_free(tagger);
  return NULL;
}

void rnnx_tagger_free(rnnx_tagger *tagger) {
  if (!tagger) return;
  rnnx_session_close(&tagger->session);
  rnnx_rule_free(&tagger->rule);
  rnnx_vocabulary_free(&tagger->vocabulary);
  rnnx_json_free_strings(tagger->tags, tagger->tag_count);
  free(tagger);
}

size_t rnnx_tagger_tag_count(const rnnx_tagger *tagger) { return tagger->tag_count; }

const char *const *rnnx_tagger_tags(const rnnx_tagger *tagger) { return (const char *const *)tagger->tags; }

const char *rnnx_tagger_runtime_version(void) { return rnnx_session_version(); }

const rnnx_rule *rnnx_tagger_rule(const rnnx_tagger *tagger) { return &tagger->rule; }

int rnnx_tagger_look_up(const rnnx_tagger *tagger, rnnx_tagger_text word, rnnx_tokens *tokens, int32_t *ids) {
  if (rnnx_rule_write_tokens(&tagger->rule, word.bytes, word.size, tokens)) return -1;
  for (size_t i = 0, start = 0; i < tokens->count; start = tokens->ends[i++])
    ids[i] = rnnx_vocabulary_id(&tagger->vocabulary, tokens->bytes + start, tokens->ends[i] - start);
  return 0;
}

size_t rnnx_tagger_find_best(const rnnx_tagger *tagger, const float *probs) {
  size_t best = 0;
  for (size_t i = 1; i < tagger->tag_count; i++) best = probs[i] > probs[best] ? i : best;
  return best;
}

/* A part of a sentence, which the model reads as one row: its first word, and how many it has. */
typedef struct {
  size_t first, size;
} piece;

static int compare_pieces(const void *left, const void *right) {
  const piece *a = left, *b = right;
  if (a->size != b->size) return a->size < b->size ? -1 : 1;
  return (a->first > b->first) - (a->first < b->first);
}

/* Cuts each sentence into as few pieces as possible, of nearly equal length, and sorts them by their lengths. */
static piece *cut_sentences(const size_t *sizes, size_t count, size_t longest, size_t *piece_count) {
  size_t most = 0, first = 0;
  for (size_t i = 0; i < count; i++) most += (sizes[i] + longest - 1) / longest;
  piece *pieces = malloc((most + 1) * sizeof *pieces);
  *piece_count = 0;
  for (size_t i = 0; pieces && i < count; first += sizes[i++]) {
    const size_t parts = (sizes[i] + longest - 1) / longest;
    for (size_t k = 0; k < parts; k++) {
      const size_t start = k * sizes[i] / parts;
      pieces[(*piece_count)++] = (piece){first + start, (k + 1) * sizes[i] / parts - start};
    }
  }
  if (pieces) qsort(pieces, *piece_count, sizeof *pieces, compare_pieces);
  return pieces;
}

/* Runs one batch. Rows are padded with zeros. `ids` has the ids of all words. */
static int run(const rnnx_tagger *tagger, const piece *pieces, size_t rows, const int32_t *ids, float *probs,
               char *message) {
  const size_t slots = tagger->rule.slot_count, time = pieces[rows - 1].size, tags = tagger->tag_count;
  int32_t *own = calloc(rows * time, sizeof *own), *features = calloc(rows * time * slots + 1, sizeof *features);
  int failed = own && features ? 0 : rnnx_fail(message, "out of memory");
  for (size_t row = 0; !failed && row < rows; row++)
    for (size_t i = 0; i < pieces[row].size; i++) {
      const int32_t *of_word = ids + (pieces[row].first + i) * (1 + slots);
      own[row * time + i] = of_word[0];
      memcpy(features + (row * time + i) * slots, of_word + 1, slots * sizeof *features);
    }
  const int64_t height = (int64_t)rows, width = (int64_t)time;
  const rnnx_input inputs[] = {
      {.name = "ids", .ids = own, .shape = {height, width}, .rank = 2},
      {.name = "features", .ids = features, .shape = {height, width, (int64_t)slots}, .rank = 3}};
  rnnx_output output = {.name = "probs"};
  failed = failed || rnnx_session_run(&tagger->session, inputs, 2, &output, 1, message);
  const size_t given = failed ? 0 : output.count / (rows * time); /* two tags may share a probability: of the second */
  if (!failed && given != tags && !(given == 1 && tags == 2))
    failed = rnnx_fail(message, "the tags in config.json are not those of the model");
  for (size_t row = 0; !failed && row < rows; row++)
    for (size_t i = 0; i < pieces[row].size; i++) {
      const float *found = output.data + (row * time + i) * given;
      float *of_word = probs + (pieces[row].first + i) * tags;
      memcpy(of_word, found, given * sizeof *found);
      if (given < tags) {
        of_word[0] = 1 - found[0];
        of_word[1] = found[0];
      }
    }
  free(own);
  free(features);
  free(output.data);
  return failed ? -1 : 0;
}

int rnnx_tagger_compute(const rnnx_tagger *tagger, const rnnx_tagger_text *words, const size_t *sizes, size_t count,
                        float *probs, char *message) {
  const size_t width = 1 + tagger->rule.slot_count;
  rnnx_tokens tokens = {0};
  size_t word_count = 0, piece_count;
  for (size_t i = 0; i < count; i++) word_count += sizes[i];
  piece *pieces = cut_sentences(sizes, count, tagger->longest, &piece_count);
  int32_t *ids = malloc((word_count * width + 1) * sizeof *ids);
  int failed = pieces && ids ? 0 : -1;
  for (size_t i = 0; !failed && i < word_count; i++)
    failed = rnnx_tagger_look_up(tagger, words[i], &tokens, ids + i * width);
  if (failed) rnnx_fail(message, "out of memory");
  for (size_t done = 0, rows; !failed && done < piece_count; done += rows) {
    for (rows = 1; rows < MOST_PIECES && done + rows < piece_count; rows++)
      if ((rows + 1) * pieces[done + rows].size > MOST_WORDS) break;
    failed = run(tagger, pieces + done, rows, ids, probs, message);
  }
  rnnx_tokens_free(&tokens);
  free(pieces);
  free(ids);
  return failed ? -1 : 0;
}

/* The words of some texts in a row, and the number of words of each sentence. */
typedef struct {
  rnnx_tagger_text *words;
  size_t *sizes, count, sentence_count;
  float *probs;
} collection;

static int collect(const rnnx_tagger *tagger, const rnnx_tagger_text *texts, const rnnx_spans *spans, size_t count,
                   collection *all) {
  size_t words = 0, sentences = 0;
  for (size_t i = 0; i < count; i++) {
    words += spans[i].count;
    sentences += spans[i].sentences;
  }
  all->words = malloc((words + 1) * sizeof *all->words);
  all->sizes = calloc(sentences + 1, sizeof *all->sizes);
  all->probs = malloc((words * tagger->tag_count + 1) * sizeof *all->probs);
  if (!all->words || !all->sizes || !all->probs) return -1;
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < spans[i].count; k++) {
      const rnnx_span span = spans[i].items[k];
      all->words[all->count++] = (rnnx_tagger_text){texts[i].bytes + span.start, span.end - span.start};
      all->sizes[all->sentence_count + span.sentence]++;
    }
    all->sentence_count += spans[i].sentences;
  }
  return 0;
}

/* Makes the answers of texts; `probs` has the probabilities of their words in a row. */
static int describe(const rnnx_tagger *tagger, const rnnx_spans *spans, size_t count, const float *probs,
                    rnnx_words *answers) {
  for (size_t i = 0; i < count; i++) {
    answers[i].words = malloc((spans[i].count + 1) * sizeof *answers[i].words);
    if (!answers[i].words) return -1;
    answers[i].sentence_count = spans[i].sentences;
    for (size_t k = 0; k < spans[i].count; k++, probs += tagger->tag_count) {
      const rnnx_span span = spans[i].items[k];
      const size_t best = rnnx_tagger_find_best(tagger, probs);
      answers[i].words[answers[i].word_count++] =
          (rnnx_word){span.start, span.end, span.sentence, tagger->tags[best], probs[best]};
    }
  }
  return 0;
}

static int tag_some(const rnnx_tagger *tagger, const rnnx_tagger_text *texts, size_t count, rnnx_words *answers,
                    char *message) {
  rnnx_spans *spans = calloc(count, sizeof *spans);
  collection all = {0};
  int failed = spans ? 0 : -1;
  for (size_t i = 0; !failed && i < count; i++)
    failed = rnnx_rule_split(&tagger->rule, texts[i].bytes, texts[i].size, &spans[i]);
  failed = failed || collect(tagger, texts, spans, count, &all);
  if (failed) rnnx_fail(message, "out of memory");
  failed = failed || rnnx_tagger_compute(tagger, all.words, all.sizes, all.sentence_count, all.probs, message);
  if (!failed && describe(tagger, spans, count, all.probs, answers)) failed = rnnx_fail(message, "out of memory");
  for (size_t i = 0; spans && i < count; i++) free(spans[i].items);
  free(spans);
  free(all.words);
  free(all.sizes);
  free(all.probs);
  return failed ? -1 : 0;
}

int rnnx_tagger_tag(const rnnx_tagger *tagger, const char *text, size_t size, rnnx_words *answer,
                    rnnx_tagger_error *error) {
  const rnnx_tagger_text texts[] = {{text, size}};
  return rnnx_tagger_tag_many(tagger, texts, 1, answer, error);
}

int rnnx_tagger_tag_many(const rnnx_tagger *tagger, const rnnx_tagger_text *texts, size_t count, rnnx_words *answers,
                         rnnx_tagger_error *error) {
  int failed = 0;
  for (size_t i = 0; i < count; i++) answers[i] = (rnnx_words){0};
  for (size_t done = 0, some; !failed && done < count; done += some) {
    some = count - done < TEXTS_AT_ONCE ? count - done : TEXTS_AT_ONCE;
    failed = tag_some(tagger, texts + done, some, answers + done, error ? error->message : NULL);
  }
  for (size_t i = 0; failed && i < count; i++) rnnx_words_free(&answers[i]);
  return failed;
}

void rnnx_words_free(rnnx_words *answer) {
  free(answer->words);
  *answer = (rnnx_words){0};
}
