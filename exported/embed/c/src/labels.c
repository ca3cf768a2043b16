#include "labels.h"

#include <stdlib.h>
#include <string.h>

/* Finds the value of a key. Within a JSON string a quote is escaped, so that a quoted word with a colon is a key. */
static const char *find_value(const char *json, const char *quoted_key) {
  const char *at = json;
  while ((at = strstr(at, quoted_key))) {
    at += strlen(quoted_key);
    at += strspn(at, " \t\r\n");
    if (*at == ':') return at + 1 + strspn(at + 1, " \t\r\n");
  }
  return NULL;
}

/* Four hexadecimal digits; 0xFFFD if they are none. */
static unsigned long read_unit(const char *digits) {
  char four[5] = {0}, *end;
  strncpy(four, digits, 4);
  const unsigned long unit = strtoul(four, &end, 16);
  return strspn(four, "0123456789abcdefABCDEF") == 4 && !*end ? unit : 0xFFFD;
}

static char *write_utf8(char *out, unsigned long code) {
  if (code < 0x80) {
    *out++ = (char)code;
    return out;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
  *out++ = (char)(first[more] | code >> 6 * more);
  for (int i = more - 1; i >= 0; i--) *out++ = (char)(0x80 | (code >> 6 * i & 0x3F));
  return out;
}

/* The length of a string after its opening quote, as it is written. */
static size_t measure(const char *at) {
  size_t size = 0;
  while (at[size] && at[size] != '"') size += at[size] == '\\' && at[size + 1] ? 2 : 1;
  return size;
}

/* Reads a string after its opening quote into `out`, which has room for it; returns where it ends, or NULL. */
static const char *read_string(const char *at, char *out) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  for (; *at && *at != '"'; at++) {
    const char *escape;
    if (*at != '\\') {
      *out++ = *at;
    } else if (*++at == 'u') {
      if (strlen(at) < 5) return NULL;
      unsigned long code = read_unit(at + 1);
      at += 4;
      if (code >= 0xD800 && code < 0xDC00 && at[1] == '\\' && at[2] == 'u') { /* half of a pair */
        const unsigned long low = read_unit(at + 3);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        if (low < 0xDC00 || low > 0xDFFF) return NULL;
        at += 6;
      }
      out = write_utf8(out, code);
    } else if (*at && (escape = strchr(escapes, *at))) {
      *out++ = meanings[escape - escapes];
    } else {
      return NULL;
    }
  }
  *out = 0;
  return *at ? at + 1 : NULL;
}

char **rnnx_read_labels(const char *json, size_t *count) {
  const char *at = find_value(json, "\"labels\"");
  char **labels = NULL;
  *count = 0;
  if (!at || *at != '[') return NULL;
  for (at++; at && *(at += strspn(at, " \t\r\n,")) == '"';) {
    char **more = realloc(labels, (*count + 1) * sizeof *labels);
    if (more) labels = more;
    char *label = more ? malloc(measure(at + 1) + 1) : NULL;
    if (label) labels[(*count)++] = label;
    at = label ? read_string(at + 1, label) : NULL;
  }
  if (at && *at == ']' && *count) return labels;
  rnnx_free_labels(labels, *count);
  return NULL;
}

void rnnx_free_labels(char **labels, size_t count) {
  for (size_t i = 0; labels && i < count; i++) free(labels[i]);
  free(labels);
}
