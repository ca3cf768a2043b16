/* The rule `unicode-14`: words of every script, by the kinds of characters.
 *
 * A character continues the word before it if both are letters, or if it is a mark and the one before is a character of
 * a script without spaces, or such a mark. Any other character but a separator begins a word. */
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "words.h"

enum { SEPARATOR, WORD, MARK, SINGLE, ALONE, DROPPED };
enum { NEAR_BYTES = 1 << 8 };

/* A character that is not dropped: its number, its kind, its first byte, and its size. */
typedef struct {
  uint32_t code;
  int kind;
  size_t start, size;
} character;

/* Reads the run of characters at the end of a table; returns -1 if it is none. */
static int read_run(rnnx_characters *characters, const rnnx_json *run, int marks, size_t most) {
  if (run->kind != RNNX_LIST || run->count < 3) return -1;
  for (size_t k = 0; k < 3; k++)
    if (run->items[k].kind != RNNX_NUMBER) return -1;
  const double count = run->items[0].number, kind = run->items[1].number, shift = run->items[2].number;
  const double first = (double)characters->count + shift;
  if (!(count >= 0 && count <= (double)(most - characters->count) && kind >= SEPARATOR && kind <= DROPPED)) return -1;
  if (!(first >= 0 && first + count <= (double)most)) return -1;
  for (size_t end = characters->count + (size_t)count; characters->count < end; characters->count++) {
    const double meant = (double)characters->count + shift;
    const int is_mark = !marks && kind != DROPPED && (meant == '!' || meant == '?');
    characters->kinds[characters->count] = is_mark ? SEPARATOR : (unsigned char)kind;
    characters->shifts[characters->count] = (int32_t)shift;
  }
  return 0;
}

int rnnx_characters_read(rnnx_characters *characters, const rnnx_json *runs, int marks) {
  const size_t most = 0x110000;
  characters->kinds = malloc(most);
  characters->shifts = malloc(most * sizeof *characters->shifts);
  if (!characters->kinds || !characters->shifts) return -1;
  for (size_t i = 0; i < runs->count; i++)
    if (read_run(characters, &runs->items[i], marks, most)) return -1;
  return 0;
}

void rnnx_characters_free(rnnx_characters *characters) {
  free(characters->kinds);
  free(characters->shifts);
  *characters = (rnnx_characters){0};
}

/* Reads the next character that is not dropped, from `i` on. Returns where it ends; 0 if there is none. */
static size_t read_next(const rnnx_characters *characters, const char *text, size_t size, size_t i, character *found) {
  while (i < size) {
    found->start = i;
    found->size = rnnx_utf8_read((const unsigned char *)text + i, size - i, &found->code);
    found->kind = found->code < characters->count ? characters->kinds[found->code] : SEPARATOR;
    i += found->size;
    if (found->kind != DROPPED) return i;
  }
  return 0;
}

static int continues(int before, int kind) {
  return (kind == WORD && before == WORD) || (kind == MARK && (before == SINGLE || before == MARK));
}

int rnnx_stream_unicode_add_words(const rnnx_characters *characters, const char *text, size_t size,
                                  rnnx_tokens *words) {
  character found;
  char written[4];
  int before = SEPARATOR;
  for (size_t i = 0; (i = read_next(characters, text, size, i, &found)); before = found.kind) {
    if (found.kind == SEPARATOR) continue;
    if (!continues(before, found.kind) && rnnx_tokens_begin(words)) return -1;
    const uint32_t code = (uint32_t)((int64_t)found.code + characters->shifts[found.code]);
    if (rnnx_tokens_add(words, written, rnnx_utf8_write(code, written))) return -1;
  }
  return 0;
}

/* How many bytes, 0 to 3, at the end of a text begin a character and do not end it. */
static size_t count_unfinished(const char *text, size_t size) {
  for (size_t count = 1; count <= 3 && count <= size; count++) {
    const unsigned char byte = (unsigned char)text[size - count];
    if ((byte & 0xc0) != 0x80) return rnnx_utf8_size(byte) > count ? count : 0;
  }
  return 0;
}

/* The first offset from `start` on that cannot be within a character. */
static size_t align(const char *text, size_t size, size_t start) {
  size_t end = start;
  while (start && end < start + 3 && end < size && ((unsigned char)text[end] & 0xc0) == 0x80) end++;
  return end;
}

/* Finds the last character that begins a word, from `start` to `end`: what is before it is finished, and all is if
 * the last character is one that none can continue. Returns 0 if the part of the text does not tell, 1 otherwise. */
static int find_last_start(const rnnx_characters *characters, const char *text, size_t start, size_t end,
                           size_t *found_end) {
  character found;
  int before = SEPARATOR, is_first = 1, is_found = 0;
  for (size_t i = start; (i = read_next(characters, text, end, i, &found)); before = found.kind, is_first = 0) {
    /* What the first character of a part of the text does depends on the one before it. */
    if (continues(before, found.kind) || (is_first && start)) continue;
    *found_end = found.start;
    is_found = 1;
  }
  if (!is_first && (before == SEPARATOR || before == ALONE)) {
    *found_end = end;
    is_found = 1;
  }
  return is_found;
}

size_t rnnx_stream_unicode_find_end(const rnnx_characters *characters, const char *text, size_t size) {
  const size_t whole = size - count_unfinished(text, size);
  for (size_t near = NEAR_BYTES;; near *= 8) {
    const size_t start = whole > near ? align(text, size, whole - near) : 0;
    size_t end;
    if (find_last_start(characters, text, start, whole, &end)) return end;
    if (start == 0) return whole; /* no character, or only dropped ones */
  }
}

size_t rnnx_stream_unicode_shorten(const rnnx_characters *characters, char *text, size_t size, size_t most) {
  if (size <= most) return size;
  const size_t unfinished = count_unfinished(text, size), whole = size - unfinished;
  rnnx_tokens words = {0};
  char rest[3];
  size_t length = 0;
  memcpy(rest, text + whole, unfinished);
  int failed = rnnx_stream_unicode_add_words(characters, text, whole, &words);
  for (size_t k = 0; !failed && k < words.count && length < most; k++) { /* joined by spaces */
    const size_t start = rnnx_token_start(&words, k), room = most - length;
    const size_t count = words.ends[k] - start < room ? words.ends[k] - start : room;
    memcpy(text + length, words.bytes + start, count);
    length += count;
    if (k + 1 < words.count && length < most) text[length++] = ' ';
  }
  length -= failed ? 0 : count_unfinished(text, length);
  memcpy(text + length, rest, unfinished);
  rnnx_tokens_free(&words);
  return failed ? SIZE_MAX : length + unfinished;
}
