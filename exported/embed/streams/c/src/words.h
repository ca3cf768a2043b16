/* Cuts a text that comes in chunks into words: the same ones as in the whole text.
 *
 * A chunk may end anywhere, also within a character. What may go on in the next chunk is held back: a word, the
 * beginning of a character, or the beginning of a possible `<br />`. */
#ifndef RNNX_WORDS_H
#define RNNX_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "tokens.h"

/* The kind of each character, and how far away the character is that replaces it in a word. */
typedef struct {
  unsigned char *kinds; /* NULL for the rule `bytes` */
  int32_t *shifts;
  size_t count;
} rnnx_characters;

/* The rule of a tokenizer. */
typedef struct {
  rnnx_characters characters;
  int strips_breaks;
  size_t most_held; /* bytes of an unfinished word */
} rnnx_cutter;

/* Reads the rule that a config names; `longest` is the size of the longest token. Returns 0 or -1. */
int rnnx_cutter_read(rnnx_cutter *cutter, const rnnx_json *config, size_t longest, char *message);
void rnnx_cutter_free(rnnx_cutter *cutter);

/* Takes a chunk, and what was held back before. `words` gets the words that it finishes, and `held` what is held back
 * now, in memory of its own. Returns -1 if there is no memory. */
int rnnx_cutter_feed(const rnnx_cutter *cutter, const char *before, size_t before_size, const char *chunk, size_t size,
                     rnnx_tokens *words, char **held, size_t *held_size);

/* Adds the words of what was held back, when the text has ended. It changes `text`. It returns -1 if
 * there is no memory. */
int rnnx_cutter_finish(const rnnx_cutter *cutter, char *text, size_t size, rnnx_tokens *words);

/* The two parts of each rule. The words of a text; and the size of the part whose words stay the same, no matter which
 * bytes follow. Both return -1, or SIZE_MAX, if there is no memory. */
int rnnx_stream_bytes_add_words(const char *text, size_t size, rnnx_tokens *words);
size_t rnnx_stream_bytes_find_end(const char *text, size_t size);
int rnnx_stream_unicode_add_words(const rnnx_characters *characters, const char *text, size_t size,
                                  rnnx_tokens *words);
size_t rnnx_stream_unicode_find_end(const rnnx_characters *characters, const char *text, size_t size);

/* Shortens the beginning of a single word to at most `most` bytes and those of an unfinished character. There is room
 * for three more bytes after it. Returns the size, or SIZE_MAX if there is no memory. */
size_t rnnx_stream_unicode_shorten(const rnnx_characters *characters, char *text, size_t size, size_t most);

/* Reads the table of characters. `!` and `?` are words if `marks` is set. Returns 0 or -1. */
int rnnx_characters_read(rnnx_characters *characters, const rnnx_json *runs, int marks);
void rnnx_characters_free(rnnx_characters *characters);

#endif
