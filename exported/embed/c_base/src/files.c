#include "files.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

static int read_path(rnnx_file *file, char *message) {
  FILE *opened = fopen(file->name, "rb");
  long length = -1;
  errno = opened ? 0 : errno;
  if (opened && !fseek(opened, 0, SEEK_END) && (length = ftell(opened)) >= 0 && !fseek(opened, 0, SEEK_SET) &&
      (file->data = malloc((size_t)length + 1)) && fread(file->data, 1, (size_t)length, opened) != (size_t)length) {
    free(file->data);
    file->data = NULL;
  }
  file->is_owned = file->data != NULL;
  file->size = file->data ? (size_t)length : 0;
  if (!file->data) rnnx_fail(message, "cannot read %s: %s", file->name, errno ? strerror(errno) : "it ends too early");
  if (opened) fclose(opened);
  return file->data ? 0 : -1;
}

int rnnx_file_read(rnnx_file *file, const char *folder, const char *name, const char *own, size_t own_size,
                   char *message) {
  const size_t room = (folder ? strlen(folder) + 1 : 0) + strlen(name) + 1;
  *file = (rnnx_file){.name = malloc(room)};
  if (!file->name) return rnnx_fail(message, "out of memory");
  snprintf(file->name, room, "%s%s%s", folder ? folder : "", folder ? "/" : "", name);
  if (folder) return read_path(file, message);
  file->data = (char *)(uintptr_t)own; /* nobody writes to it */
  file->size = own_size;
  return own_size ? 0 : rnnx_fail(message, "this program was built without a model: load it from a folder");
}

void rnnx_file_free(rnnx_file *file) {
  if (file->is_owned) free(file->data);
  free(file->name);
  *file = (rnnx_file){0};
}

int rnnx_grow(void **items, size_t *room, size_t count, size_t item_size) {
  if (count < *room) return 0;
  const size_t more = *room ? 2 * *room : 16;
  void *grown = more <= SIZE_MAX / item_size ? realloc(*items, more * item_size) : NULL;
  if (!grown) return -1;
  *items = grown;
  *room = more;
  return 0;
}
