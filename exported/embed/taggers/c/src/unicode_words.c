/* The words of a line by the rule `unicode-14`. */
#include "unicode_rule.h"

static int is_class_of_letters(uint32_t symbol) {
  return rnnx_is_ascii_letter(symbol) || rnnx_is_digit(symbol) || symbol == '_' || symbol == CAPITAL ||
         symbol == SMALL || symbol == CASELESS;
}

static int is_letter(const rnnx_symbols *text, size_t i) { return is_class_of_letters(text->at[i]); }

rnnx_symbols rnnx_unicode_symbols(const rnnx_line *line) {
  return (rnnx_symbols){line->classes, line->count, is_letter};
}

static int is_initial(uint32_t symbol) {
  return rnnx_is_ascii_letter(symbol) || symbol == CAPITAL || symbol == SMALL || symbol == CASELESS;
}

static int is_join(uint32_t symbol) { return symbol == JOIN; }
static int is_of_katakana(uint32_t symbol) { return symbol == KATAKANA || symbol == JOIN; }

static int is_of_address(uint32_t symbol) {
  return !rnnx_unicode_is_space(symbol) && !rnnx_is_one_of(symbol, "<>\"") && symbol != SINGLE &&
         !is_of_katakana(symbol) && symbol != WIDE_MARK && symbol != WIDE_STOP && symbol != ELLIPSIS;
}

/* (?i:(?:https?|ftp)://|www\.)ADDRESS*(?<![.,;:!?)\]']) */
static size_t match_address(const rnnx_symbols *text, size_t i) {
  const size_t start = rnnx_match_scheme(text, i, 1);
  if (!start) return 0;
  size_t end = rnnx_skip(text, start, is_of_address);
  while (end >= start && rnnx_is_one_of(text->at[end - 1], ".,;:!?)]'")) end--;
  return end >= start ? end : 0;
}

/* (?:INITIAL\.){2,}|[A-Z CAPITAL]\.(?=\s) */
static size_t match_initials(const rnnx_symbols *text, size_t i) {
  size_t end = i;
  while (is_initial(rnnx_symbol(text, end)) && rnnx_symbol(text, end + 1) == '.') end += 2;
  if (end >= i + 4) return end;
  const int is_capital = rnnx_is_capital(text->at[i]) || text->at[i] == CAPITAL;
  return end == i + 2 && is_capital && end < text->count && rnnx_unicode_is_space(text->at[end]) ? end : 0;
}

/* LETTER+(?:[JOINERS]LETTER+)* */
static size_t match_word(const rnnx_symbols *text, size_t i, int joins_hyphens) {
  size_t end = rnnx_skip(text, i, is_class_of_letters);
  if (end == i) return 0;
  for (;;) {
    const uint32_t joiner = rnnx_symbol(text, end);
    const int is_hyphen = joiner == '-' || joiner == 0x2010 || joiner == 0x2011;
    if (joiner != '\'' && !(joins_hyphens && is_hyphen)) return end;
    const size_t next = rnnx_skip(text, end + 1, is_class_of_letters);
    if (next == end + 1) return end;
    end = next;
  }
}

/* The first pattern that matches is a word; what is no letter is one with those that are the same. */
static size_t match(const rnnx_symbols *text, size_t i, int joins_hyphens) {
  size_t end;
  if ((end = match_address(text, i)) || (end = rnnx_match_mail(text, i)) || (end = rnnx_match_emoticon(text, i)) ||
      (end = match_initials(text, i)) || (end = rnnx_match_number(text, i)) ||
      (end = match_word(text, i, joins_hyphens)) || (end = rnnx_skip(text, i, rnnx_unicode_is_mark)) >= i + 2)
    return end;
  if (text->at[i] == KATAKANA) return rnnx_skip(text, i, is_of_katakana);
  if (text->at[i] == SINGLE || text->at[i] == SYMBOL) return rnnx_skip(text, i + 1, is_join);
  return rnnx_skip_same(text, i);
}

/* Whether white space is in a part of a text, or letters or marks continue after it. */
static int is_torn(const rnnx_line *line, size_t start, size_t end) {
  for (size_t i = start; i < end; i++)
    if (rnnx_unicode_is_space(line->classes[i])) return 1;
  if (end >= line->count) return 0;
  return line->classes[end] == JOIN ||
         (is_class_of_letters(line->classes[end]) && is_class_of_letters(line->classes[end - 1]));
}

/* Of the lowered characters: those that Python's str.isdigit knows. */
static int is_any_digit(uint32_t code) {
  static const uint32_t digits[][2] = {
      {'0', '9'},         {0x1369, 0x1371},   {0x19da, 0x19da},   {0x2474, 0x247c},   {0x2488, 0x2490},
      {0x24f5, 0x24fd},   {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
      {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
  for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
    if (code >= digits[i][0] && code <= digits[i][1]) return 1;
  return 0;
}

/* Whether a word is another known word and a full stop, and not a number. */
static int may_end_sentence(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end) {
  if (line->lowered[end - 1] != '.' || end == start + 1 || !rnnx_unicode_is_known(rule, line, start, end - 1)) return 0;
  for (size_t i = start; i < end - 1; i++)
    if (!is_any_digit(line->lowered[i])) return 1;
  return 0;
}

/* The end of the longest known word that begins at `start` and ends after `end`; else `end`. */
static size_t find_longest_known(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end) {
  size_t low = 0, high = rule->length_count;
  while (low < high) { /* the first length of words with this first character */
    const size_t middle = low + (high - low) / 2;
    if (rule->lengths[middle].first < line->lowered[start])
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < rule->length_count && rule->lengths[low].first == line->lowered[start]; low++) {
    const size_t last = start + rule->lengths[low].length;
    if (last <= end) break;
    if (last <= line->count && rnnx_unicode_is_known(rule, line, start, last) && !is_torn(line, start, last) &&
        !may_end_sentence(rule, line, start, last))
      return last;
  }
  return end;
}

size_t rnnx_unicode_find_cut(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start, size_t end) {
  size_t first = start, last = end;
  while (first < end && line->lowered[first] != '\'') first++;
  if (first == end || rnnx_unicode_is_known(rule, line, start, end)) return end;
  while (line->lowered[last - 1] != '\'') last--;
  size_t cut = start + 1;
  if (end - start > rule->longest + 1) cut = end - rule->longest;
  for (; cut <= last - 1; cut++)
    if (rnnx_unicode_is_known(rule, line, cut, end)) return cut;
  return first + 1 < end && rnnx_unicode_is_known(rule, line, start, first + 1) ? first + 1 : end;
}

size_t rnnx_unicode_find_end(const rnnx_unicode_rule *rule, const rnnx_line *line, size_t start) {
  const rnnx_symbols text = rnnx_unicode_symbols(line);
  return find_longest_known(rule, line, start, match(&text, start, rule->joins_hyphens));
}
