/* The rule `bytes`: splits a text as English treebanks do, and gives the features of words.
 *
 * Everything is defined on bytes. A pattern takes the longest match first and then shorter ones, as a regular
 * expression does; where a shorter match cannot help, the function does not try it. */
#include <stdlib.h>
#include <string.h>

#include "patterns.h"
#include "rule.h"

#define ABBREVIATIONS                                                                                                  \
  "dr|mr|mrs|ms|st|ft|mt|jr|sr|vs|etc|inc|corp|co|ltd|gen|lt|col|sgt|rev|gov|sen|rep|prof|no|dept|approx|ave|jan|feb|" \
  "aug|sept|sep|oct|nov|dec|mon|tues|wed|thurs|fri|sat"
#define PREFIXES "e|co|pre|non|re|anti|multi|post|semi|sub|un|ex|mid|inter|counter|pro|bi|neo|ultra|mini"
#define UNITS "am|pm|k|m|b|bn|mm|cm|km|ft|kg|lb|lbs|hz|mhz|ghz|x"
#define ENDINGS "s|m|ll|ve|re|d"

static int is_space(uint32_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static int is_between(uint32_t byte, uint32_t first, uint32_t last) { return byte >= first && byte <= last; }

/* The size of white space that is not ASCII: the no-break space, spaces of fixed width, line and paragraph separators,
 * the CJK space, and the byte order mark. */
static size_t measure_wide_space(const unsigned char *at, size_t size) {
  if (size >= 2 && at[0] == 0xc2 && at[1] == 0xa0) return 2;
  if (size < 3) return 0;
  if (at[0] == 0xe2 && at[1] == 0x80)
    return is_between(at[2], 0x80, 0x8b) || at[2] == 0xa8 || at[2] == 0xa9 || at[2] == 0xaf ? 3 : 0;
  return (at[0] == 0xe3 && at[1] == 0x80 && at[2] == 0x80) || (at[0] == 0xef && at[1] == 0xbb && at[2] == 0xbf) ? 3 : 0;
}

/* The size of punctuation that is not ASCII: inverted marks, guillemets, the middle dot; dashes, quotes, the ellipsis;
 * the CJK full stop and comma. */
static size_t measure_wide_sign(const rnnx_symbols *text, size_t i) {
  const uint32_t first = rnnx_symbol(text, i), second = rnnx_symbol(text, i + 1), third = rnnx_symbol(text, i + 2);
  if (first == 0xc2)
    return second == 0xa1 || second == 0xab || second == 0xb7 || second == 0xbb || second == 0xbf ? 2 : 0;
  if (second != 0x80) return 0;
  if (first == 0xe2) return is_between(third, 0x90, 0xbf) ? 3 : 0;
  return first == 0xe3 && (third == 0x81 || third == 0x82) ? 3 : 0;
}

static int is_letter(const rnnx_symbols *text, size_t i) {
  const uint32_t byte = text->at[i];
  return byte < 0x80 ? rnnx_is_ascii_letter(byte) || rnnx_is_digit(byte) || byte == '_' : !measure_wide_sign(text, i);
}

static size_t measure_apostrophe(const rnnx_symbols *text, size_t i) {
  if (rnnx_symbol(text, i) == '\'') return 1;
  return rnnx_has(text, i, "\xe2\x80\x99", 3, 0) ? 3 : 0;
}

static int is_no_letter(const rnnx_symbols *text, size_t i) { return i >= text->count || !is_letter(text, i); }
static int is_full_stop(const rnnx_symbols *text, size_t i) { return rnnx_symbol(text, i) == '.'; }
static int is_hyphen(const rnnx_symbols *text, size_t i) { return rnnx_symbol(text, i) == '-'; }

/* (?:(?:https?|ftp)://|www\.)[^\s<>"]*[^\s<>".,;:!?)\]'] */
static size_t match_address(const rnnx_symbols *text, size_t i) {
  const size_t start = rnnx_match_scheme(text, i, 0);
  size_t end = start;
  if (!start) return 0;
  while (end < text->count && !is_space(text->at[end]) && !rnnx_is_one_of(text->at[end], "<>\"")) end++;
  while (end > start && rnnx_is_one_of(text->at[end - 1], ".,;:!?)]'")) end--;
  return end > start ? end : 0;
}

/* (?:[A-Za-z]\.){2,}|[A-Z]\.(?=\s)|ABBREVIATIONS\. */
static size_t match_abbreviation(const rnnx_symbols *text, size_t i) {
  size_t end = i;
  while (rnnx_is_ascii_letter(rnnx_symbol(text, end)) && is_full_stop(text, end + 1)) end += 2;
  if (end >= i + 4) return end;
  if (end == i + 2 && rnnx_is_capital(text->at[i]) && end < text->count && is_space(text->at[end])) return end;
  end = rnnx_match_listed(text, i, ABBREVIATIONS, is_full_stop);
  return end ? end + 1 : 0;
}

/* [0-9]+(?:[.,:/][0-9]+)*(?=UNITS(?!LETTER)) */
static size_t match_amount(const rnnx_symbols *text, size_t i) {
  size_t last, end = rnnx_skip(text, i, rnnx_is_digit);
  if (end == i) return 0;
  end = rnnx_skip_groups(text, end, &last);
  return rnnx_match_listed(text, end, UNITS, is_no_letter) ? end : 0;
}

static size_t skip_digits(const rnnx_symbols *text, size_t i, size_t count) {
  for (size_t k = 0; k < count; k++)
    if (!rnnx_is_digit(rnnx_symbol(text, i + k))) return 0;
  return i + count;
}

/* [0-9]{3}-(?:[0-9]{3}-)?[0-9]{4}(?!LETTER) */
static size_t match_phone(const rnnx_symbols *text, size_t i) {
  const size_t first = skip_digits(text, i, 3);
  if (!first || !is_hyphen(text, first)) return 0;
  const size_t second = skip_digits(text, first + 1, 3);
  size_t end = second && is_hyphen(text, second) ? skip_digits(text, second + 1, 4) : 0;
  if (end && is_no_letter(text, end)) return end;
  end = skip_digits(text, first + 1, 4);
  return end && is_no_letter(text, end) ? end : 0;
}

/* [A-Z]+&[A-Z]+(?!LETTER) */
static size_t match_pair(const rnnx_symbols *text, size_t i) {
  const size_t first = rnnx_skip(text, i, rnnx_is_capital);
  if (first == i || rnnx_symbol(text, first) != '&') return 0;
  const size_t end = rnnx_skip(text, first + 1, rnnx_is_capital);
  return end > first + 1 && is_no_letter(text, end) ? end : 0;
}

/* (?:PREFIXES-)?LETTER+(?:(?:\.|APOSTROPHE)LETTER+)* */
static size_t match_word(const rnnx_symbols *text, size_t i) {
  const size_t prefix = rnnx_match_listed(text, i, PREFIXES, is_hyphen);
  size_t start = prefix ? prefix + 1 : i, end = rnnx_skip_letters(text, start);
  if (end == start && prefix) end = rnnx_skip_letters(text, start = i);
  if (end == start) return 0;
  for (;;) {
    const size_t joined = end + (is_full_stop(text, end) ? 1 : measure_apostrophe(text, end));
    const size_t next = joined > end ? rnnx_skip_letters(text, joined) : joined;
    if (next == joined) return end;
    end = next;
  }
}

/* APOSTROPHE(?:ENDINGS)(?!LETTER) */
static size_t match_ending(const rnnx_symbols *text, size_t i) {
  const size_t size = measure_apostrophe(text, i);
  return size ? rnnx_match_listed(text, i + size, ENDINGS, is_no_letter) : 0;
}

static int is_ascii_mark(uint32_t byte) {
  return is_between(byte, '!', '~') && !rnnx_is_ascii_letter(byte) && !rnnx_is_digit(byte) && byte != '_';
}

/* [.!?]{2,}|\xe2\x80\xa6, then two or more of the same mark, then one or more of the same sign */
static size_t match_marks(const rnnx_symbols *text, size_t i) {
  size_t end = rnnx_skip(text, i, rnnx_is_end_mark);
  if (end >= i + 2) return end;
  if (rnnx_has(text, i, "\xe2\x80\xa6", 3, 0)) return i + 3;
  if (is_ascii_mark(text->at[i]) && (end = rnnx_skip_same(text, i)) >= i + 2) return end;
  const size_t size = measure_wide_sign(text, i);
  if (!size) return 0;
  for (end = i + size; end + size <= text->count; end += size)
    if (memcmp(text->at + end, text->at + i, size * sizeof *text->at) != 0) break;
  return end;
}

/* The first pattern that matches is a word; one byte is, if none does. */
static size_t match(const rnnx_symbols *text, size_t i) {
  static size_t (*const patterns[])(const rnnx_symbols *, size_t) = {
      match_address, rnnx_match_mail,   rnnx_match_emoticon, match_abbreviation, match_amount, match_phone,
      rnnx_match_number, match_pair, match_word,          match_ending,       match_marks};
  for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
    const size_t end = patterns[k](text, i);
    if (end) return end;
  }
  return i + 1;
}

/* Where the apostrophe starts that ends before `end` and after `start`; 0 if there is none. */
static size_t find_apostrophe(const rnnx_symbols *text, size_t start, size_t end) {
  for (size_t size = 1; size <= 3; size += 2)
    if (end > start + size && measure_apostrophe(text, end - size) == size) return end - size;
  return 0;
}

/* The first byte of an ending that is a word of its own, as in `did|n't` and `can|not`; `end` if there is none. */
static size_t find_cut(const rnnx_symbols *text, size_t start, size_t end) {
  static const char *const endings[] = {"s", "m", "d", "ll", "ve", "re"};
  static const char *const pairs[][2] = {{"can", "not"}, {"gon", "na"},  {"wan", "na"},   {"got", "ta"},   {"do", "nt"},
                                         {"does", "nt"}, {"did", "nt"},  {"ca", "nt"},    {"wo", "nt"},    {"is", "nt"},
                                         {"was", "nt"},  {"would", "nt"}, {"could", "nt"}, {"should", "nt"},
                                         {"has", "nt"},  {"have", "nt"}, {"i", "m"},      {"i", "ve"}};
  if (rnnx_has(text, start, "http", 4, 0) || rnnx_has(text, start, "www.", 4, 0)) return end;
  size_t apostrophe = rnnx_lower(text->at[end - 1]) == 't' ? find_apostrophe(text, start, end - 1) : 0;
  if (apostrophe >= start + 2 && rnnx_lower(text->at[apostrophe - 1]) == 'n') {
    const uint32_t before = text->at[apostrophe - 2];
    if (rnnx_is_ascii_letter(before) || before >= 0x80) return apostrophe - 1;
  }
  for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
    const size_t size = strlen(endings[k]);
    if (end < start + size || !rnnx_has(text, end - size, endings[k], size, 1)) continue;
    if ((apostrophe = find_apostrophe(text, start, end - size))) return apostrophe;
  }
  for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
    const size_t first = strlen(pairs[k][0]), second = strlen(pairs[k][1]);
    if (end - start == first + second && rnnx_has(text, start, pairs[k][0], first, 1) &&
        rnnx_has(text, start + first, pairs[k][1], second, 1))
      return start + first;
  }
  return end;
}

static int is_listed(const rnnx_symbols *text, size_t start, size_t end, const char *const *list, size_t count) {
  for (size_t k = 0; k < count; k++)
    if (strlen(list[k]) == end - start && rnnx_has(text, start, list[k], end - start, 0)) return 1;
  return 0;
}

static int is_closing(const rnnx_symbols *text, size_t start, size_t end) {
  static const char *const closing[] = {"\"", "'", "''", ")", "]", "\xe2\x80\x99", "\xe2\x80\x9d", "\xc2\xbb"};
  return is_listed(text, start, end, closing, sizeof closing / sizeof *closing);
}

static int ends_sentence(const rnnx_symbols *text, size_t start, size_t end) {
  static const char *const signs[] = {"\xe2\x80\xa6", "\xe3\x80\x82"};
  return rnnx_skip(text, start, rnnx_is_end_mark) >= end || is_listed(text, start, end, signs, 2);
}

/* Adds a word to the sentence of the one before it, or to a new one. */
static int add_word(const rnnx_symbols *text, const char *bytes, size_t start, size_t end, int *is_over,
                    rnnx_spans *spans) {
  const size_t before = spans->count ? spans->items[spans->count - 1].end : start;
  const int closes = *is_over && before == start && is_closing(text, start, end);
  int is_new = *is_over && before < start && !rnnx_is_small(text->at[start]);
  for (size_t i = before; i < start; i++) is_new |= bytes[i] == '\n' || bytes[i] == '\r';
  *is_over = closes || ends_sentence(text, start, end);
  return rnnx_spans_add(spans, start, end, is_new);
}

int rnnx_bytes_split(const char *bytes, size_t size, rnnx_spans *spans) {
  const unsigned char *given = (const unsigned char *)bytes;
  uint32_t *symbols = malloc((size + 1) * sizeof *symbols);
  const rnnx_symbols text = {symbols, size, is_letter};
  int failed = symbols ? 0 : -1, is_over = 0;
  for (size_t i = 0; !failed && i < size;) {
    const size_t space = measure_wide_space(given + i, size - i);
    for (size_t k = 0; k < space; k++) symbols[i + k] = ' ';
    if (!space) symbols[i] = given[i];
    i += space ? space : 1;
  }
  for (size_t i = 0; !failed && i < size;) {
    if (is_space(symbols[i])) {
      i++;
      continue;
    }
    const size_t end = match(&text, i), cut = find_cut(&text, i, end);
    failed = add_word(&text, bytes, i, cut, &is_over, spans);
    if (!failed && cut < end) failed = add_word(&text, bytes, cut, end, &is_over, spans);
    i = end;
  }
  free(symbols);
  return failed;
}

/* Writes the shape of a word: the kinds of its bytes, at most two of the same in a row. */
static int write_shape(const char *word, size_t size, rnnx_tokens *tokens) {
  char shape[RNNX_LONGEST_SHAPE];
  size_t length = 0, same = 0;
  char before = 0;
  for (size_t i = 0; i < size && length < RNNX_LONGEST_SHAPE; i++) {
    const unsigned char byte = (unsigned char)word[i];
    const char kind = (char)(byte >= 0x80                 ? 'u'
                             : rnnx_is_capital(byte) ? 'X'
                             : rnnx_is_small(byte)   ? 'x'
                             : rnnx_is_digit(byte)   ? 'd'
                                                     : byte);
    same = i && kind == before ? same + 1 : 1;
    before = kind;
    if (same <= 2) shape[length++] = kind;
  }
  return rnnx_tokens_add(tokens, shape, length);
}

static int is_continued(const char *word, size_t i) { return ((unsigned char)word[i] & 0xc0) == 0x80; }

/* Writes the first or the last characters of a lowered word. */
static int write_part(const char *lowered, size_t size, const rnnx_slot *slot, rnnx_tokens *tokens) {
  size_t count = 0, at;
  if (slot->feature == RNNX_PREFIX) {
    for (at = 0; at < size; at++) /* the first byte begins a character, even if it is one that continues */
      if ((at == 0 || !is_continued(lowered, at)) && count++ == slot->count) break;
    return rnnx_tokens_add(tokens, lowered, at);
  }
  for (at = size; at > 0 && count < slot->count;) count += !is_continued(lowered, --at);
  return rnnx_tokens_add(tokens, lowered + at, size - at);
}

int rnnx_bytes_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens) {
  char *lowered = malloc(size + 1);
  int failed = lowered ? rnnx_tokens_begin(tokens) : -1;
  for (size_t i = 0; lowered && i < size; i++) lowered[i] = (char)rnnx_lower((unsigned char)word[i]);
  failed = failed || rnnx_tokens_add(tokens, lowered, size);
  for (size_t k = 0; !failed && k < rule->slot_count; k++) {
    const rnnx_slot *slot = &rule->slots[k];
    failed = rnnx_tokens_begin(tokens) || rnnx_tokens_add(tokens, slot->name, strlen(slot->name)) ||
             rnnx_tokens_add(tokens, "=", 1) ||
             (slot->feature == RNNX_SHAPE ? write_shape(word, size, tokens) : write_part(lowered, size, slot, tokens));
  }
  free(lowered);
  return failed ? -1 : 0;
}
