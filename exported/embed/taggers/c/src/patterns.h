/* What the patterns of both rules have in common. A pattern is a function that returns where its match at a place ends,
 * or 0 if it does not match. */
#ifndef RNNX_PATTERNS_H
#define RNNX_PATTERNS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RNNX_NO_SYMBOL UINT32_MAX

/* A text in symbols: bytes, or classes of characters. */
typedef struct rnnx_symbols {
  const uint32_t *at;
  size_t count;
  int (*is_letter)(const struct rnnx_symbols *text, size_t i);
} rnnx_symbols;

typedef int (*rnnx_test)(uint32_t symbol);
typedef int (*rnnx_follow)(const rnnx_symbols *text, size_t i);

/* The symbol at a place; RNNX_NO_SYMBOL after the end. */
static inline uint32_t rnnx_symbol(const rnnx_symbols *text, size_t i) {
  return i < text->count ? text->at[i] : RNNX_NO_SYMBOL;
}

static inline int rnnx_is_one_of(uint32_t symbol, const char *ascii) {
  return symbol && symbol < 0x80 && strchr(ascii, (int)symbol);
}

static inline int rnnx_is_digit(uint32_t symbol) { return symbol >= '0' && symbol <= '9'; }
static inline int rnnx_is_small(uint32_t symbol) { return symbol >= 'a' && symbol <= 'z'; }
static inline int rnnx_is_capital(uint32_t symbol) { return symbol >= 'A' && symbol <= 'Z'; }
static inline int rnnx_is_ascii_letter(uint32_t symbol) { return rnnx_is_small(symbol) || rnnx_is_capital(symbol); }
static inline uint32_t rnnx_lower(uint32_t symbol) { return rnnx_is_capital(symbol) ? symbol + 32 : symbol; }
static inline int rnnx_is_end_mark(uint32_t symbol) { return rnnx_is_one_of(symbol, ".!?"); }

/* The end of a run of symbols, of letters, or of a symbol and those that are the same. */
size_t rnnx_skip(const rnnx_symbols *text, size_t i, rnnx_test test);
size_t rnnx_skip_letters(const rnnx_symbols *text, size_t i);
size_t rnnx_skip_same(const rnnx_symbols *text, size_t i);

/* Returns whether a place has an ASCII word, in either case if `any_case` is set. */
int rnnx_has(const rnnx_symbols *text, size_t i, const char *word, size_t size, int any_case);

/* Matches the first of some words, in either case, that are followed by something. The words are separated by |. */
size_t rnnx_match_listed(const rnnx_symbols *text, size_t i, const char *words, rnnx_follow follows);

/* The beginning of an address in the web: `http://`, `https://`, `ftp://` or `www.`. */
size_t rnnx_match_scheme(const rnnx_symbols *text, size_t i, int any_case);

/* [A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)* */
size_t rnnx_match_mail(const rnnx_symbols *text, size_t i);

/* [:;=]['-]?[()DPp]+(?!LETTER) */
size_t rnnx_match_emoticon(const rnnx_symbols *text, size_t i);

/* \.?[0-9]+(?:[.,:/][0-9]+)+(?!LETTER) */
size_t rnnx_match_number(const rnnx_symbols *text, size_t i);

/* (?:[.,:/][0-9]+)* */
size_t rnnx_skip_groups(const rnnx_symbols *text, size_t i, size_t *last);

#endif
