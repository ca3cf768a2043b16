#include "patterns.h"

enum { LONGEST_NAME = 64 };

size_t rnnx_skip(const rnnx_symbols *text, size_t i, rnnx_test test) {
  while (i < text->count && test(text->at[i])) i++;
  return i;
}

size_t rnnx_skip_letters(const rnnx_symbols *text, size_t i) {
  while (i < text->count && text->is_letter(text, i)) i++;
  return i;
}

size_t rnnx_skip_same(const rnnx_symbols *text, size_t i) {
  size_t end = i + 1;
  while (end < text->count && text->at[end] == text->at[i]) end++;
  return end;
}

int rnnx_has(const rnnx_symbols *text, size_t i, const char *word, size_t size, int any_case) {
  for (size_t k = 0; k < size; k++) {
    const uint32_t symbol = rnnx_symbol(text, i + k);
    if ((any_case ? rnnx_lower(symbol) : symbol) != (unsigned char)word[k]) return 0;
  }
  return 1;
}

size_t rnnx_match_listed(const rnnx_symbols *text, size_t i, const char *words, rnnx_follow follows) {
  for (const char *word = words; *word;) {
    const size_t size = strcspn(word, "|");
    if (rnnx_has(text, i, word, size, 1) && follows(text, i + size)) return i + size;
    word += size + (word[size] == '|');
  }
  return 0;
}

size_t rnnx_match_scheme(const rnnx_symbols *text, size_t i, int any_case) {
  static const char *const schemes[] = {"https://", "http://", "ftp://", "www."};
  for (size_t k = 0; k < sizeof schemes / sizeof *schemes; k++)
    if (rnnx_has(text, i, schemes[k], strlen(schemes[k]), any_case)) return i + strlen(schemes[k]);
  return 0;
}

static int is_of_host(uint32_t symbol) {
  return rnnx_is_ascii_letter(symbol) || rnnx_is_digit(symbol) || symbol == '-';
}

static int is_of_name(uint32_t symbol) { return is_of_host(symbol) || rnnx_is_one_of(symbol, "._+"); }

size_t rnnx_match_mail(const rnnx_symbols *text, size_t i) {
  size_t at = i;
  while (at < text->count && at < i + LONGEST_NAME && is_of_name(text->at[at])) at++;
  if (at == i || rnnx_symbol(text, at) != '@') return 0;
  size_t end = rnnx_skip(text, at + 1, is_of_host);
  if (end == at + 1) return 0;
  while (rnnx_symbol(text, end) == '.') {
    const size_t next = rnnx_skip(text, end + 1, is_of_host);
    if (next == end + 1) break;
    end = next;
  }
  return end;
}

size_t rnnx_match_emoticon(const rnnx_symbols *text, size_t i) {
  if (!rnnx_is_one_of(rnnx_symbol(text, i), ":;=")) return 0;
  const size_t start = i + 1 + (size_t)rnnx_is_one_of(rnnx_symbol(text, i + 1), "'-");
  size_t end = start;
  while (rnnx_is_one_of(rnnx_symbol(text, end), "()DPp")) end++;
  while (end > start && end < text->count && text->is_letter(text, end)) end--; /* a mouth may be a letter */
  return end > start ? end : 0;
}

size_t rnnx_skip_groups(const rnnx_symbols *text, size_t i, size_t *last) {
  *last = i;
  while (rnnx_is_one_of(rnnx_symbol(text, i), ".,:/") && rnnx_is_digit(rnnx_symbol(text, i + 1))) {
    *last = i;
    i = rnnx_skip(text, i + 1, rnnx_is_digit);
  }
  return i;
}

size_t rnnx_match_number(const rnnx_symbols *text, size_t i) {
  const size_t start = i + (rnnx_symbol(text, i) == '.'), digits = rnnx_skip(text, start, rnnx_is_digit);
  size_t last;
  if (digits == start) return 0;
  const size_t end = rnnx_skip_groups(text, digits, &last);
  if (end == digits) return 0;
  if (end == text->count || !text->is_letter(text, end)) return end;
  return last > digits ? last : 0; /* the last group belongs to the letter after it */
}
