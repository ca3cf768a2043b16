#include "json.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "utf8.h"

enum { DEEPEST = 64, LONGEST_NUMBER = 128 };

/* What is left of a text. */
typedef struct {
  const char *at, *end;
  int depth;
} reader;

static int parse_value(reader *from, rnnx_json *value);

static void skip_spaces(reader *from) {
  while (from->at < from->end && (*from->at == ' ' || *from->at == '\t' || *from->at == '\n' || *from->at == '\r'))
    from->at++;
}

/* Reads a character, after white space; returns whether it is there. */
static int take(reader *from, char character) {
  skip_spaces(from);
  if (from->at >= from->end || *from->at != character) return 0;
  from->at++;
  return 1;
}

static int parse_word(reader *from, const char *word) {
  const size_t size = strlen(word);
  if ((size_t)(from->end - from->at) < size || memcmp(from->at, word, size)) return -1;
  from->at += size;
  return 0;
}

/* strtod reads the decimal point of the locale. */
static int parse_number(reader *from, rnnx_json *value) {
  char digits[LONGEST_NUMBER + 1], *end;
  size_t size = 0;
  while (from->at + size < from->end && size < LONGEST_NUMBER && from->at[size] &&
         strchr("+-.0123456789eE", from->at[size])) {
    digits[size] = from->at[size] == '.' ? *localeconv()->decimal_point : from->at[size];
    size++;
  }
  digits[size] = 0;
  value->number = strtod(digits, &end);
  from->at += size;
  return size && !*end && (digits[0] == '-' || (digits[0] >= '0' && digits[0] <= '9')) ? 0 : -1;
}

static int parse_unit(reader *from, uint32_t *unit) {
  *unit = 0;
  if (from->end - from->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    const int digit = rnnx_hex_digit(*from->at++);
    if (digit < 0) return -1;
    *unit = *unit << 4 | (uint32_t)digit;
  }
  return 0;
}

/* Reads what follows a backslash. */
static int parse_escape(reader *from, char **out) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char kind = *from->at++;
  const char *escape = kind ? strchr(escapes, kind) : NULL;
  uint32_t code, low;
  if (escape) {
    *(*out)++ = meanings[escape - escapes];
    return 0;
  }
  if (kind != 'u' || parse_unit(from, &code)) return -1;
  if (code >= 0xd800 && code < 0xdc00 && from->end - from->at >= 2 && from->at[0] == '\\' && from->at[1] == 'u') {
    reader after = *from;
    after.at += 2;
    if (!parse_unit(&after, &low) && low >= 0xdc00 && low < 0xe000) { /* a pair */
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      *from = after;
    }
  }
  *out += rnnx_utf8_write(code, *out);
  return 0;
}

/* Reads a string after its opening quote. */
static int parse_string(reader *from, char **text, size_t *size) {
  size_t length = 0;
  while (from->at + length < from->end && from->at[length] != '"')
    length += from->at[length] == '\\' && from->at + length + 1 < from->end ? 2 : 1;
  if (from->at + length >= from->end || !(*text = malloc(length + 1))) return -1;
  char *out = *text;
  while (*from->at != '"') {
    if (*from->at != '\\') {
      *out++ = *from->at++;
    } else {
      from->at++;
      if (parse_escape(from, &out)) return -1;
    }
  }
  from->at++;
  *out = 0;
  *size = (size_t)(out - *text);
  return 0;
}

static int parse_key(reader *from, rnnx_json *item) {
  size_t size;
  return take(from, '"') && !parse_string(from, &item->key, &size) && take(from, ':') ? 0 : -1;
}

/* Reads the items of a list or an object after the opening bracket. */
static int parse_items(reader *from, rnnx_json *value, char closing) {
  size_t room = 0;
  if (++from->depth > DEEPEST) return -1;
  if (!take(from, closing)) {
    do {
      if (rnnx_grow((void **)&value->items, &room, value->count, sizeof *value->items)) return -1;
      rnnx_json *item = &value->items[value->count++];
      memset(item, 0, sizeof *item);
      if ((value->kind == RNNX_OBJECT && parse_key(from, item)) || parse_value(from, item)) return -1;
    } while (take(from, ','));
    if (!take(from, closing)) return -1;
  }
  from->depth--;
  return 0;
}

static int parse_value(reader *from, rnnx_json *value) {
  skip_spaces(from);
  const char first = from->at < from->end ? *from->at : 0;
  value->kind = first == 'n'   ? RNNX_NULL
                : first == 't' ? RNNX_TRUE
                : first == 'f' ? RNNX_FALSE
                : first == '"' ? RNNX_STRING
                : first == '[' ? RNNX_LIST
                : first == '{' ? RNNX_OBJECT
                               : RNNX_NUMBER;
  from->at += value->kind >= RNNX_STRING;
  switch (value->kind) {
    case RNNX_NULL: return parse_word(from, "null");
    case RNNX_TRUE: return parse_word(from, "true");
    case RNNX_FALSE: return parse_word(from, "false");
    case RNNX_NUMBER: return parse_number(from, value);
    case RNNX_STRING: return parse_string(from, &value->text, &value->size);
    case RNNX_LIST: return parse_items(from, value, ']');
    case RNNX_OBJECT: return parse_items(from, value, '}');
  }
  return -1;
}

static void free_content(rnnx_json *value) {
  if (value->kind == RNNX_STRING) free(value->text);
  if (value->kind < RNNX_LIST) return;
  for (size_t i = 0; i < value->count; i++) {
    free(value->items[i].key);
    free_content(&value->items[i]);
  }
  free(value->items);
}

rnnx_json *rnnx_json_parse(const char *text, size_t size) {
  reader from = {text, text + size, 0};
  rnnx_json *value = calloc(1, sizeof *value);
  int failed = !value || parse_value(&from, value);
  skip_spaces(&from);
  if (!failed && from.at == from.end) return value;
  rnnx_json_free(value);
  return NULL;
}

void rnnx_json_free(rnnx_json *value) {
  if (value) free_content(value);
  free(value);
}

const rnnx_json *rnnx_json_get(const rnnx_json *value, const char *key, rnnx_kind kind) {
  for (size_t i = 0; value && value->kind == RNNX_OBJECT && i < value->count; i++)
    if (!strcmp(value->items[i].key, key)) return value->items[i].kind == kind ? &value->items[i] : NULL;
  return NULL;
}

int rnnx_json_is_true(const rnnx_json *value, const char *key) { return rnnx_json_get(value, key, RNNX_TRUE) != NULL; }

long rnnx_json_get_size(const rnnx_json *value, const char *key, long least) {
  const rnnx_json *found = rnnx_json_get(value, key, RNNX_NUMBER);
  if (!found || !(found->number >= (double)least && found->number <= 0x7fffffff)) return -1;
  return found->number == (double)(long)found->number ? (long)found->number : -1;
}

char **rnnx_json_copy_strings(const rnnx_json *list) {
  const size_t count = list && list->kind == RNNX_LIST ? list->count : 0;
  char **strings = list ? calloc(count + 1, sizeof *strings) : NULL;
  for (size_t i = 0; strings && i < count; i++) {
    const rnnx_json *item = &list->items[i];
    strings[i] = item->kind == RNNX_STRING ? malloc(item->size + 1) : NULL;
    if (!strings[i]) {
      rnnx_json_free_strings(strings, count);
      return NULL;
    }
    memcpy(strings[i], item->text, item->size + 1);
  }
  return strings;
}

void rnnx_json_free_strings(char **strings, size_t count) {
  for (size_t i = 0; strings && i < count; i++) free(strings[i]);
  free(strings);
}

char *rnnx_json_read_hex(const rnnx_json *text, size_t *size) {
  char *bytes = text && text->kind == RNNX_STRING && text->size % 2 == 0 ? malloc(text->size / 2 + 1) : NULL;
  *size = bytes ? text->size / 2 : 0;
  for (size_t i = 0; i < *size; i++) {
    const int high = rnnx_hex_digit(text->text[2 * i]), low = rnnx_hex_digit(text->text[2 * i + 1]);
    if (high < 0 || low < 0) {
      free(bytes);
      return NULL;
    }
    bytes[i] = (char)(16 * high + low);
  }
  return bytes;
}
