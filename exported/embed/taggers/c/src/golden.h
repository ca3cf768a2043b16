#ifndef RNNX_GOLDEN_H
#define RNNX_GOLDEN_H

#include "rnnx_tagger.h"

/* Compares with the golden vectors, and prints what it found; returns the exit code. */
int rnnx_run_golden(const rnnx_tagger *tagger);

#endif
