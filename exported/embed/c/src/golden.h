#ifndef RNNX_GOLDEN_H
#define RNNX_GOLDEN_H

#include "rnnx_text_classifier.h"

/* Compares with the golden vectors, alone and in one batch, and prints what it found; returns the exit code. */
int rnnx_run_golden(const rnnx_classifier *classifier);

#endif
