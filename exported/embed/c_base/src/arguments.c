#define _POSIX_C_SOURCE 200809L
#include "arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#define isatty _isatty
#define fileno _fileno
#else
#include <unistd.h>
#endif

#include "files.h"
#include "utf8.h"

enum { MOST_AT_ONCE = 1 << 16 };

int rnnx_is_option(const char *word) { return word[0] == '-' && !word[strspn(word, "-abcdefghijklmnopqrstuvwxyz")]; }

int rnnx_is_terminal(void) { return isatty(fileno(stdin)); }

static int complain(const char *path) {
  fprintf(stderr, "error: %s: %s\n", path ? path : "the standard input", strerror(errno));
  return -1;
}

FILE *rnnx_open_input(const char *path) {
#ifdef _WIN32
  if (!path) _setmode(_fileno(stdin), _O_BINARY);
#endif
  FILE *file = path ? fopen(path, "rb") : stdin;
  if (!file) complain(path);
  return file;
}

int rnnx_read_input(const char *path, char **data, size_t *size) {
  FILE *file = rnnx_open_input(path);
  size_t room = 0, got = 1;
  int failed = file ? 0 : -1;
  *data = NULL;
  *size = 0;
  while (!failed && got) {
    while (!failed && room < *size + MOST_AT_ONCE) failed = rnnx_grow((void **)data, &room, room, 1);
    got = failed ? 0 : fread(*data + *size, 1, room - *size, file);
    *size += got;
    if (failed || ferror(file)) failed = complain(path);
  }
  if (file && path) fclose(file);
  return failed;
}

void rnnx_print_word(const char *word, size_t size) {
  for (size_t i = 0, read; i < size; i += read) {
    uint32_t code;
    read = rnnx_utf8_read((const unsigned char *)word + i, size - i, &code);
    const int is_broken = (read == 1 && code >= 0x80) || (code >= 0xd800 && code < 0xe000);
    if (is_broken)
      fputs("\xef\xbf\xbd", stdout);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
      putchar('?');
    else
      fwrite(word + i, 1, read, stdout);
  }
}
