/* Runs a model in onnxruntime. */
#ifndef RNNX_SESSION_H
#define RNNX_SESSION_H

#include <onnxruntime_c_api.h>
#include <stddef.h>
#include <stdint.h>

#include "files.h"

typedef struct {
  const OrtApi *ort;
  OrtEnv *env;
  OrtSession *session;
  OrtMemoryInfo *memory;
} rnnx_session;

/* An array that a model takes: of float32, of int32 or of uint8. The other two pointers are NULL; an empty array of
 * int32 may be NULL, too. */
typedef struct {
  const char *name;
  const float *floats;
  const int32_t *ids;
  const uint8_t *bytes;
  int64_t shape[3];
  size_t rank;
} rnnx_input;

/* An array of float32 that a model gives, in memory that the caller frees. */
typedef struct {
  const char *name;
  float *data;
  size_t count;
} rnnx_output;

/* Opens the model of a file. Returns 0 or -1; then rnnx_session_close frees what is there. */
int rnnx_session_open(rnnx_session *session, const rnnx_file *file, char *message);

void rnnx_session_close(rnnx_session *session);

/* Returns 0 if the model has exactly this number of inputs. */
int rnnx_session_require_inputs(const rnnx_session *session, size_t count);

/* Reads a value of the model's metadata into memory of its own; NULL if there is none. Returns 0 or -1. */
int rnnx_session_read_metadata(const rnnx_session *session, const char *key, char **value, char *message);

enum { RNNX_MOST_PORTS = 64 };

/* Runs the model with at most RNNX_MOST_PORTS inputs and outputs. Returns 0, or -1 and frees the outputs. */
int rnnx_session_run(const rnnx_session *session, const rnnx_input *inputs, size_t input_count, rnnx_output *outputs,
                     size_t output_count, char *message);

/* The version of onnxruntime. */
const char *rnnx_session_version(void);

#endif
