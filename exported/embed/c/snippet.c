/* The shortest way from a text to its probabilities; errors are left to src/classifier.c. */
#define _POSIX_C_SOURCE 200809L
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  const OrtApi *ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  const char *const inputs[] = {"text"}, *const outputs[] = {"probs"};
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtMemoryInfo *memory;
  OrtSession *session;
  OrtValue *input = NULL, *output = NULL;
  float *probs;
  ort->CreateSessionOptions(&options);
  ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory);
  /* snippet */
  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* before CreateEnv */
  ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "snippet", &env);
  char text[] = "A wonderful film.";
  int64_t shape[] = {1, (int64_t)strlen(text)};
  ort->CreateSession(env, "model.text.onnx", options, &session);
  ort->CreateTensorWithDataAsOrtValue(memory, text, strlen(text), shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &input);
  ort->Run(session, NULL, inputs, (const OrtValue *const *)&input, 1, outputs, 1, &output);
  ort->GetTensorMutableData(output, (void **)&probs);
  printf("%f\n", probs[1]); /* one probability per label */
  /* end */
  return 0;
}
