/* The parts of the rule `unicode-14`: the table of characters, the known words, and the words of a line. */
#ifndef RNNX_UNICODE_RULE_H
#define RNNX_UNICODE_RULE_H

#include <stddef.h>
#include <stdint.h>

#include "patterns.h"
#include "rule.h"

/* The classes of characters outside ASCII. Each is a character of the class itself. */
enum {
  CAPITAL = 0xc0,
  SMALL = 0xe0,
  CASELESS = 0x5d0,
  SINGLE = 0x4e2d,
  KATAKANA = 0x30ab,
  JOIN = 0xe31,
  SYMBOL = 0x263a,
  WIDE_MARK = 0xff01,
  WIDE_STOP = 0x3002,
  ELLIPSIS = 0x2026
};
#define RNNX_DROPPED UINT32_MAX

/* A number of characters that known words with this first character have. */
typedef struct {
  uint32_t first, length;
} known_length;

struct rnnx_unicode_rule {
  const rnnx_vocabulary *vocabulary;
  uint32_t *lowered, *classes, *shapes; /* of each character; RNNX_DROPPED if it has none */
  size_t count;
  known_length *lengths; /* by the first character, the longest first */
  size_t length_count, length_room;
  uint32_t longest;
  int joins_hyphens;
};

/* The characters of a line, and of those that are not dropped: lowered, their classes, where each starts and ends. */
typedef struct {
  uint32_t *codes, *lowered, *classes;
  size_t *starts, *ends, count;
  char *encoded; /* room for all lowered characters, to look up a part of them */
} rnnx_line;

/* Returns what a table of the rule has for a character; one after the table is itself. */
static inline uint32_t rnnx_unicode_look_up(const rnnx_unicode_rule *rule, const uint32_t *table, uint32_t code) {
  return code < rule->count ? table[code] : code;
}

static inline int rnnx_unicode_is_space(uint32_t symbol) {
  return (symbol >= '\t' && symbol <= '\r') || (symbol >= 0x1c && symbol <= 0x20);
}

static inline int rnnx_unicode_is_mark(uint32_t symbol) { return rnnx_is_end_mark(symbol) || symbol == WIDE_MARK; }

/* The symbols of a line are its classes. */
rnnx_symbols rnnx_unicode_symbols(const rnnx_line *line);

/* Returns whether a part of the lowered characters is a word of the vocabulary. */
int rnnx_unicode_is_known(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end);

/* Returns the end of the match at a place: a word, or several known ones. */
size_t rnnx_unicode_find_end(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start);

/* Returns where the word of a match is cut into two; `end` if it is not. */
size_t rnnx_unicode_find_cut(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end);

#endif
