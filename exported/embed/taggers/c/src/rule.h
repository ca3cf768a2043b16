/* The rules of taggers: they split a text, and say what is looked up in the vocabulary for a word. */
#ifndef RNNX_RULE_H
#define RNNX_RULE_H

#include <stddef.h>

#include "json.h"
#include "tokens.h"
#include "vocabulary.h"

/* The first byte of a word, the one after its last, and the number of its sentence. */
typedef struct {
  size_t start, end, sentence;
} rnnx_span;

/* The words of a text in their order. */
typedef struct {
  rnnx_span *items;
  size_t count, room, sentences;
} rnnx_spans;

/* Adds a word, in a new sentence or in that of the word before it. Returns -1 if there is no memory. */
int rnnx_spans_add(rnnx_spans *spans, size_t start, size_t end, int is_new);

typedef enum { RNNX_SUFFIX, RNNX_PREFIX, RNNX_SHAPE } rnnx_feature;

/* A feature of words: its name, such as SUFFIX3 for the last three characters. */
typedef struct {
  char name[8];
  rnnx_feature feature;
  size_t count;
} rnnx_slot;

typedef struct rnnx_unicode_rule rnnx_unicode_rule;

typedef struct {
  rnnx_slot *slots;
  size_t slot_count;
  rnnx_unicode_rule *unicode; /* NULL for the rule `bytes` */
} rnnx_rule;

/* Reads the rule that a config names. It keeps the vocabulary. Returns 0 or -1. */
int rnnx_rule_read(rnnx_rule *rule, const rnnx_json *config, const rnnx_vocabulary *vocabulary, char *message);
void rnnx_rule_free(rnnx_rule *rule);

/* Splits a text into sentences of words. Returns -1 if there is no memory. */
int rnnx_rule_split(const rnnx_rule *rule, const char *text, size_t size, rnnx_spans *spans);

/* Writes what is looked up for a word: the lowered word, and its features. Returns -1 if there is no memory. */
int rnnx_rule_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens);

enum { RNNX_LONGEST_SHAPE = 8 };

/* The rule `bytes`. */
int rnnx_bytes_split(const char *text, size_t size, rnnx_spans *spans);
int rnnx_bytes_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens);

/* The rule `unicode-14`. */
rnnx_unicode_rule *rnnx_unicode_read(const rnnx_json *runs, const rnnx_vocabulary *vocabulary, int joins_hyphens);
void rnnx_unicode_free(rnnx_unicode_rule *rule);
int rnnx_unicode_split(const rnnx_unicode_rule *rule, const char *text, size_t size, rnnx_spans *spans);
int rnnx_unicode_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens);

#endif
