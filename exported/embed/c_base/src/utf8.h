/* Reads and writes characters of UTF-8. */
#ifndef RNNX_UTF8_H
#define RNNX_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The size of the character that a byte begins; 1 if it begins none. */
size_t rnnx_utf8_size(unsigned char lead);

/* Reads the character at the beginning of `size` bytes, at least one; returns its size. A byte that is not UTF-8 is the
 * character of its number. An encoded surrogate is read as such. */
size_t rnnx_utf8_read(const unsigned char *bytes, size_t size, uint32_t *code);

/* Writes a character, at most 4 bytes; returns its size. */
size_t rnnx_utf8_write(uint32_t code, char *out);

/* The value of a hexadecimal digit, or -1. */
int rnnx_hex_digit(char digit);

#endif
