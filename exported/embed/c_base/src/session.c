#define _POSIX_C_SOURCE 200809L
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

/* Returns 0 if onnxruntime did what it was asked for; otherwise writes its message after `what`. */
static int check(const OrtApi *ort, OrtStatus *status, const char *what, char *message) {
  if (!status) return 0;
  rnnx_fail(message, "%s: %s", what, ort->GetErrorMessage(status));
  ort->ReleaseStatus(status);
  return -1;
}

/* Starts onnxruntime without telemetry, unless ORT_DISABLE_TELEMETRY is set. */
static int create_environment(rnnx_session *session, char *message) {
  const int is_unset = !getenv("ORT_DISABLE_TELEMETRY");
  const OrtApi *ort = session->ort;
#ifndef _WIN32
  if (is_unset) setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* read when the environment is made */
#endif
  return check(ort, ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "rnnx", &session->env), "onnxruntime", message) ||
                 /* for Windows, where nothing is sent until a session is made */
                 (is_unset && check(ort, ort->DisableTelemetryEvents(session->env), "onnxruntime", message))
             ? -1
             : 0;
}

int rnnx_session_open(rnnx_session *session, const rnnx_file *file, char *message) {
  char what[512];
  OrtSessionOptions *options = NULL;
  snprintf(what, sizeof what, "%s is not a whole model", file->name);
  const OrtApi *ort = session->ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!ort) return rnnx_fail(message, "onnxruntime %s is older than its headers", rnnx_session_version());
  const int failed =
      create_environment(session, message) || check(ort, ort->CreateSessionOptions(&options), "onnxruntime", message) ||
      check(ort, ort->SetIntraOpNumThreads(options, 1), "onnxruntime", message) || /* a recurrence only loses by more */
      check(ort, ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &session->memory), "onnxruntime",
            message) ||
      check(ort, ort->CreateSessionFromArray(session->env, file->data, file->size, options, &session->session), what,
            message);
  if (options) ort->ReleaseSessionOptions(options);
  return failed ? -1 : 0;
}

void rnnx_session_close(rnnx_session *session) {
  if (session->memory) session->ort->ReleaseMemoryInfo(session->memory);
  if (session->session) session->ort->ReleaseSession(session->session);
  if (session->env) session->ort->ReleaseEnv(session->env);
  *session = (rnnx_session){0};
}

int rnnx_session_require_inputs(const rnnx_session *session, size_t count) {
  size_t found = 0;
  return check(session->ort, session->ort->SessionGetInputCount(session->session, &found), "", NULL) || found != count
             ? -1
             : 0;
}

int rnnx_session_read_metadata(const rnnx_session *session, const char *key, char **value, char *message) {
  static const char what[] = "the metadata of the model";
  const OrtApi *ort = session->ort;
  OrtModelMetadata *metadata = NULL;
  OrtAllocator *allocator = NULL;
  char *found = NULL;
  *value = NULL;
  int failed = check(ort, ort->GetAllocatorWithDefaultOptions(&allocator), what, message) ||
               check(ort, ort->SessionGetModelMetadata(session->session, &metadata), what, message) ||
               check(ort, ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, key, &found), what, message);
  if (found) {
    *value = malloc(strlen(found) + 1);
    if (*value)
      memcpy(*value, found, strlen(found) + 1);
    else
      failed = rnnx_fail(message, "out of memory");
    allocator->Free(allocator, found);
  }
  if (metadata) ort->ReleaseModelMetadata(metadata);
  return failed ? -1 : 0;
}

static int make_tensor(const rnnx_session *session, const rnnx_input *input, OrtValue **value, const char *what,
                       char *message) {
  const OrtApi *ort = session->ort;
  static float nothing[1];
  const ONNXTensorElementDataType type = input->floats  ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
                                         : input->bytes ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
                                                        : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
  const void *data = input->floats  ? (const void *)input->floats
                     : input->bytes ? (const void *)input->bytes
                                    : (const void *)input->ids;
  size_t size = input->bytes ? 1 : 4;
  for (size_t i = 0; i < input->rank; i++) size *= (size_t)input->shape[i];
  return check(ort,
               ort->CreateTensorWithDataAsOrtValue(session->memory, data ? (void *)(uintptr_t)data : nothing, size,
                                                   input->shape, input->rank, type, value),
               what, message);
}

static int copy_output(const rnnx_session *session, OrtValue *value, rnnx_output *output, const char *what,
                       char *message) {
  const OrtApi *ort = session->ort;
  OrtTensorTypeAndShapeInfo *info = NULL;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  void *data = NULL;
  int failed = check(ort, ort->GetTensorTypeAndShape(value, &info), what, message) ||
               check(ort, ort->GetTensorShapeElementCount(info, &output->count), what, message) ||
               check(ort, ort->GetTensorElementType(info, &type), what, message) ||
               check(ort, ort->GetTensorMutableData(value, &data), what, message);
  if (info) ort->ReleaseTensorTypeAndShapeInfo(info);
  if (!failed && type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
    failed = rnnx_fail(message, "%s: %s is not float32", what, output->name);
  if (failed) return -1;
  output->data = malloc((output->count + 1) * sizeof *output->data);
  if (!output->data) return rnnx_fail(message, "out of memory");
  memcpy(output->data, data, output->count * sizeof *output->data);
  return 0;
}

int rnnx_session_run(const rnnx_session *session, const rnnx_input *inputs, size_t input_count, rnnx_output *outputs,
                     size_t output_count, char *message) {
  static const char what[] = "the model cannot be run";
  const OrtApi *ort = session->ort;
  const char *input_names[RNNX_MOST_PORTS], *output_names[RNNX_MOST_PORTS];
  OrtValue *given[RNNX_MOST_PORTS] = {0}, *found[RNNX_MOST_PORTS] = {0};
  int failed = input_count > RNNX_MOST_PORTS || output_count > RNNX_MOST_PORTS ? rnnx_fail(message, what) : 0;
  if (failed) return -1;
  for (size_t i = 0; i < output_count; i++) outputs[i].data = NULL;
  for (size_t i = 0; !failed && i < input_count; i++) {
    input_names[i] = inputs[i].name;
    failed = make_tensor(session, &inputs[i], &given[i], what, message);
  }
  for (size_t i = 0; i < output_count; i++) output_names[i] = outputs[i].name;
  failed = failed || check(ort,
                           ort->Run(session->session, NULL, input_names, (const OrtValue *const *)given, input_count,
                                    output_names, output_count, found),
                           what, message);
  for (size_t i = 0; !failed && i < output_count; i++)
    failed = copy_output(session, found[i], &outputs[i], what, message);
  for (size_t i = 0; i < RNNX_MOST_PORTS; i++) {
    if (given[i]) ort->ReleaseValue(given[i]);
    if (found[i]) ort->ReleaseValue(found[i]);
  }
  for (size_t i = 0; failed && i < output_count; i++) {
    free(outputs[i].data);
    outputs[i].data = NULL;
  }
  return failed ? -1 : 0;
}

const char *rnnx_session_version(void) { return OrtGetApiBase()->GetVersionString(); }
