#include "words.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

#define BREAK "<br />"
enum { BREAK_BYTES = sizeof BREAK - 1, CHARACTER_BYTES = 4, MOST_HELD = 1 << 16 /* no vocabulary has a longer word */ };

int rnnx_cutter_read(rnnx_cutter *cutter, const rnnx_json *config, size_t longest, char *message) {
  const rnnx_json *tokenizer = rnnx_json_get(config, "tokenizer", RNNX_OBJECT);
  const rnnx_json *name = rnnx_json_get(tokenizer, "rule", RNNX_STRING); /* `bytes`, if there is none */
  const rnnx_json *runs = rnnx_json_get(rnnx_json_get(config, "characters", RNNX_OBJECT), "runs", RNNX_LIST);
  cutter->strips_breaks = rnnx_json_is_true(tokenizer, "strip_breaks");
  cutter->most_held = longest + CHARACTER_BYTES > MOST_HELD ? longest + CHARACTER_BYTES : MOST_HELD;
  if (!name || !strcmp(name->text, "bytes")) return 0;
  if (strcmp(name->text, "unicode-14") != 0 || !runs)
    return rnnx_fail(message, "this package does not know the rule %s", name->text);
  if (rnnx_characters_read(&cutter->characters, runs, rnnx_json_is_true(tokenizer, "marks")))
    return rnnx_fail(message, "the table of characters in config.json is damaged, or out of memory");
  return 0;
}

void rnnx_cutter_free(rnnx_cutter *cutter) { rnnx_characters_free(&cutter->characters); }

static size_t find_end(const rnnx_cutter *cutter, const char *text, size_t size) {
  for (size_t length = BREAK_BYTES - 1; cutter->strips_breaks && length > 0; length--)
    if (length <= size && !memcmp(text + size - length, BREAK, length))
      return size - length; /* a word before `<` is finished */
  return cutter->characters.kinds ? rnnx_stream_unicode_find_end(&cutter->characters, text, size)
                                  : rnnx_stream_bytes_find_end(text, size);
}

int rnnx_cutter_feed(const rnnx_cutter *cutter, const char *before, size_t before_size, const char *chunk, size_t size,
                     rnnx_tokens *words, char **held, size_t *held_size) {
  const size_t whole = before_size + size;
  char *text = malloc(whole + CHARACTER_BYTES); /* a word may grow before it is shortened */
  if (!text) return -1;
  if (before_size) memcpy(text, before, before_size);
  if (size) memcpy(text + before_size, chunk, size);
  const size_t end = find_end(cutter, text, whole);
  int failed = end == SIZE_MAX || rnnx_cutter_finish(cutter, text, end, words);
  *held_size = failed ? 0 : whole - end;
  if (!failed && *held_size > cutter->most_held)
    *held_size = cutter->characters.kinds
                     ? rnnx_stream_unicode_shorten(&cutter->characters, text + end, *held_size, cutter->most_held)
                     : cutter->most_held;
  failed = failed || *held_size == SIZE_MAX || !(*held = malloc(*held_size + 1));
  if (!failed) memcpy(*held, text + end, *held_size);
  free(text);
  return failed ? -1 : 0;
}

int rnnx_cutter_finish(const rnnx_cutter *cutter, char *text, size_t size, rnnx_tokens *words) {
  for (size_t i = 0; cutter->strips_breaks && i + BREAK_BYTES <= size; i++)
    if (!memcmp(text + i, BREAK, BREAK_BYTES)) memset(text + i, ' ', BREAK_BYTES);
  return cutter->characters.kinds ? rnnx_stream_unicode_add_words(&cutter->characters, text, size, words)
                                  : rnnx_stream_bytes_add_words(text, size, words);
}

/* The rule `bytes`: ASCII letters are lowered, and a word is a run of [a-z0-9'] and bytes from 0x80 on. */
static int is_of_word(char character) {
  const unsigned char byte = (unsigned char)character, lowered = byte | 0x20;
  return byte >= 0x80 || (lowered >= 'a' && lowered <= 'z') || (byte >= '0' && byte <= '9') || byte == '\'';
}

int rnnx_stream_bytes_add_words(const char *text, size_t size, rnnx_tokens *words) {
  for (size_t i = 0, end; i < size; i = end + 1) {
    for (end = i; end < size && is_of_word(text[end]);) end++;
    if (end == i) continue;
    if (rnnx_tokens_begin(words) || rnnx_tokens_add(words, text + i, end - i)) return -1;
    for (char *at = words->bytes + rnnx_token_start(words, words->count - 1); at < words->bytes + words->size; at++)
      if (*at >= 'A' && *at <= 'Z') *at = (char)(*at + 32);
  }
  return 0;
}

size_t rnnx_stream_bytes_find_end(const char *text, size_t size) {
  while (size > 0 && is_of_word(text[size - 1])) size--;
  return size;
}
