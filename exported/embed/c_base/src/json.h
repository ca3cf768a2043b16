/* Reads JSON. */
#ifndef RNNX_JSON_H
#define RNNX_JSON_H

#include <stddef.h>

typedef enum { RNNX_NULL, RNNX_FALSE, RNNX_TRUE, RNNX_NUMBER, RNNX_STRING, RNNX_LIST, RNNX_OBJECT } rnnx_kind;

/* A value of JSON: a number, a string (`size` bytes and a zero), or a list or an object of `count` items. */
typedef struct rnnx_json {
  rnnx_kind kind;
  char *key; /* of an item of an object */
  union {
    double number;
    struct {
      char *text;
      size_t size;
    };
    struct {
      struct rnnx_json *items;
      size_t count;
    };
  };
} rnnx_json;

/* Reads a text of JSON; NULL if it is something else, or if there is no memory. */
rnnx_json *rnnx_json_parse(const char *text, size_t size);

/* Frees what rnnx_json_parse returned, which may be NULL. */
void rnnx_json_free(rnnx_json *value);

/* Returns the value of a key of an object; NULL if there is none, or if it is of another kind. */
const rnnx_json *rnnx_json_get(const rnnx_json *value, const char *key, rnnx_kind kind);

/* Returns whether the value of a key is true. */
int rnnx_json_is_true(const rnnx_json *value, const char *key);

/* Returns a number of a key that is a whole number from `least` to 2^31 - 1; -1 if there is none. */
long rnnx_json_get_size(const rnnx_json *value, const char *key, long least);

/* Copies the strings of a list; NULL if it has something else, or if there is no memory. `list` may be NULL. */
char **rnnx_json_copy_strings(const rnnx_json *list);

/* Frees what rnnx_json_copy_strings returned, which may be NULL. */
void rnnx_json_free_strings(char **strings, size_t count);

/* Writes the bytes of a string of hexadecimal digits into memory of its own; NULL if it has something else. */
char *rnnx_json_read_hex(const rnnx_json *text, size_t *size);

#endif
