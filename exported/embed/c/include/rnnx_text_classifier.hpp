// Text in, label and probability out: the library of rnnx_text_classifier.h for C++17, with exceptions.
#ifndef RNNX_TEXT_CLASSIFIER_HPP
#define RNNX_TEXT_CLASSIFIER_HPP

#include <rnnx_text_classifier.h>

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace rnnx {

// The model or onnxruntime cannot be loaded, or the model cannot be run.
class ClassifierError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The answer to a text: its most probable label, the probability of that, and the probability of each label, in the
// order of Classifier::labels().
struct Prediction {
  std::string label;
  float probability = 0;
  std::vector<float> probs;
};

// A text model in memory. It can be moved, and threads may share it.
class Classifier {
 public:
  // Loads the model of this package. As rnnx_classifier_load, it may set an environment variable.
  static Classifier load() { return Classifier(nullptr); }

  // Loads the file model.text.onnx in a folder.
  static Classifier load(const std::string& folder) { return Classifier(folder.c_str()); }

  // The labels, in the order of Prediction::probs.
  const std::vector<std::string>& labels() const { return labels_; }

  // Reads one text: bytes, which need not be UTF-8. It may be empty.
  Prediction predict(std::string_view text) const { return std::move(predict_many({text}).front()); }

  // Reads many texts, such as those of a std::vector<std::string>, and answers in their order.
  template <typename Texts>
  std::vector<Prediction> predict_many(const Texts& texts) const {
    static_assert(std::is_lvalue_reference_v<decltype(*std::begin(texts))>, "the texts must be there until the end");
    std::vector<rnnx_text> rows;
    for (const std::string_view text : texts) rows.push_back({text.data(), text.size()});
    return read(rows);
  }

  std::vector<Prediction> predict_many(std::initializer_list<std::string_view> texts) const {
    return predict_many<std::initializer_list<std::string_view>>(texts);
  }

 private:
  struct Free {
    void operator()(rnnx_classifier* classifier) const { rnnx_classifier_free(classifier); }
  };

  explicit Classifier(const char* folder) {
    rnnx_classifier_error error;
    classifier_.reset(rnnx_classifier_load(folder, &error));
    if (!classifier_) throw ClassifierError(error.message);
    const char* const* labels = rnnx_classifier_labels(classifier_.get());
    labels_.assign(labels, labels + rnnx_classifier_label_count(classifier_.get()));
  }

  std::vector<Prediction> read(const std::vector<rnnx_text>& texts) const {
    rnnx_classifier_error error;
    std::vector<rnnx_prediction> answers(texts.size());
    std::vector<float> probs(texts.size() * labels_.size());
    if (rnnx_classifier_predict_many(classifier_.get(), texts.data(), texts.size(), answers.data(), probs.data(), &error))
      throw ClassifierError(error.message);
    std::vector<Prediction> predictions(texts.size());
    for (std::size_t i = 0; i < texts.size(); i++) {
      const float* row = probs.data() + i * labels_.size();
      predictions[i] = {answers[i].label, answers[i].probability, {row, row + labels_.size()}};
    }
    return predictions;
  }

  std::unique_ptr<rnnx_classifier, Free> classifier_;
  std::vector<std::string> labels_;
};

}  // namespace rnnx

#endif
