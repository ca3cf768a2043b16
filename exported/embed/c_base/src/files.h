#ifndef RNNX_FILES_H
#define RNNX_FILES_H

#include <stddef.h>

/* A file in memory, and its name for messages. */
typedef struct {
  char *name, *data; /* `data` is in memory of its own if `is_owned` */
  size_t size;
  int is_owned;
} rnnx_file;

/* Reads a file of a folder, or takes the bytes that the program has of it if `folder` is NULL. Returns 0 or -1. */
int rnnx_file_read(rnnx_file *file, const char *folder, const char *name, const char *own, size_t own_size,
                   char *message);

/* Frees what rnnx_file_read allocated. */
void rnnx_file_free(rnnx_file *file);

/* Makes room in an array for one more than `count` items; returns 0, or -1 if there is no memory. */
int rnnx_grow(void **items, size_t *room, size_t count, size_t item_size);

#endif
