/* What the commands have in common. */
#ifndef RNNX_ARGUMENTS_H
#define RNNX_ARGUMENTS_H

#include <stddef.h>
#include <stdio.h>

/* Returns whether a word looks like an option. */
int rnnx_is_option(const char *word);

/* Returns whether the standard input is a terminal. */
int rnnx_is_terminal(void);

/* Opens a file; NULL is the standard input. Prints why it cannot. */
FILE *rnnx_open_input(const char *path);

/* Reads a file to its end, in memory of its own; NULL is the standard input. Prints why it cannot, and returns -1. */
int rnnx_read_input(const char *path, char **data, size_t *size);

/* Prints a word: a control character as a question mark, and a byte that is not UTF-8 as U+FFFD. */
void rnnx_print_word(const char *word, size_t size);

#endif
