#ifndef RNNX_ERRORS_H
#define RNNX_ERRORS_H

enum { RNNX_MESSAGE_BYTES = 1024 };

/* Writes the first line of a message of at most RNNX_MESSAGE_BYTES, unless `message` is NULL, and returns -1. */
int rnnx_fail(char *message, const char *format, ...);

#endif
