/* Text in, label and probability out: a text model with its tokenizer in the file, on onnxruntime alone.
 *
 * Functions that can fail return 0 (or a pointer) on success and -1 (or NULL) on failure, and write the reason into
 * `error` unless that is NULL. Threads may share a classifier.
 */
#ifndef RNNX_TEXT_CLASSIFIER_H
#define RNNX_TEXT_CLASSIFIER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A text model in memory. */
typedef struct rnnx_classifier rnnx_classifier;

/* A text: bytes, which need not be UTF-8, and their number. It may be empty. */
typedef struct {
  const char *bytes;
  size_t size;
} rnnx_text;

/* The answer to a text: its most probable label, which belongs to the classifier, and the probability of that. */
typedef struct {
  const char *label;
  float probability;
} rnnx_prediction;

/* Why a function failed: one sentence. */
typedef struct {
  char message[1024];
} rnnx_classifier_error;

/* Loads the file model.text.onnx in a folder; the model of this package if `folder` is NULL.
 *
 * Sets ORT_DISABLE_TELEMETRY unless you have, so call it while no other thread reads or writes the environment. */
rnnx_classifier *rnnx_classifier_load(const char *folder, rnnx_classifier_error *error);

/* Frees a classifier, which may be NULL. */
void rnnx_classifier_free(rnnx_classifier *classifier);

/* The number of labels, and the labels, which belong to the classifier. */
size_t rnnx_classifier_label_count(const rnnx_classifier *classifier);
const char *const *rnnx_classifier_labels(const rnnx_classifier *classifier);

/* Reads one text. `probs` gets the probability of each label, in the order of the labels, unless it is NULL. */
int rnnx_classifier_predict(const rnnx_classifier *classifier, const char *text, size_t size,
                            rnnx_prediction *prediction, float *probs, rnnx_classifier_error *error);

/* Reads many texts, in batches of similar lengths, and answers in their order. `probs` gets a row of probabilities for
 * each text, unless it is NULL. */
int rnnx_classifier_predict_many(const rnnx_classifier *classifier, const rnnx_text *texts, size_t count,
                                 rnnx_prediction *predictions, float *probs, rnnx_classifier_error *error);

/* Computes a row of probabilities for each text, in one batch. */
int rnnx_classifier_compute_probs(const rnnx_classifier *classifier, const rnnx_text *texts, size_t count,
                                  float *probs, rnnx_classifier_error *error);

/* The version of onnxruntime. */
const char *rnnx_classifier_runtime_version(void);

#ifdef __cplusplus
}
#endif

#endif
