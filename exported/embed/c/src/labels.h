#ifndef RNNX_LABELS_H
#define RNNX_LABELS_H

#include <stddef.h>

/* Reads the list of strings `labels` of a JSON text. Returns it, or NULL if there is none; `count` gets its length. */
char **rnnx_read_labels(const char *json, size_t *count);

/* Frees what rnnx_read_labels returned. */
void rnnx_free_labels(char **labels, size_t count);

#endif
