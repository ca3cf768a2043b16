#ifndef RNNX_GOLDEN_H
#define RNNX_GOLDEN_H

#include "rnnx_text_stream.h"

/* Compares with the golden vectors, in chunks of several sizes, and prints what it found; returns the exit code. */
int rnnx_run_golden(const rnnx_stream_model *model);

#endif
