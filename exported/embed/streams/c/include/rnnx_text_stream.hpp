// A text in chunks, the answer so far after each: the library of rnnx_text_stream.h for C++17, with exceptions.
#ifndef RNNX_TEXT_STREAM_HPP
#define RNNX_TEXT_STREAM_HPP

#include <rnnx_text_stream.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rnnx {

// The model or onnxruntime cannot be loaded, the model cannot be run, or a state is not one of this model.
class StreamError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The answer to all words so far: the words that this chunk finishes; the label, its probability and the probability of
// each label, if there is a label; or the number of a model of ratings.
struct StreamAnswer {
  std::vector<std::string> words;
  std::optional<std::string> label;
  float probability = 0;
  std::vector<float> probs;
  std::optional<float> number;
};

// Everything between two chunks: a value, which is cheap to copy.
class StreamState {
 public:
  explicit StreamState(rnnx_stream_state* state) : state_(state, rnnx_stream_state_free) {}
  const rnnx_stream_state* get() const { return state_.get(); }

 private:
  std::shared_ptr<const rnnx_stream_state> state_;
};

// A streaming model in memory. It can be moved, and threads may share it.
class StreamModel {
 public:
  // Loads the model of this package. As rnnx_stream_load, it may set an environment variable.
  static StreamModel load() { return StreamModel(nullptr); }

  // Loads the files model.stream.onnx, vocabulary.txt and config.json in a folder.
  static StreamModel load(const std::string& folder) { return StreamModel(folder.c_str()); }

  const std::vector<std::string>& labels() const { return labels_; }

  // The state before a text.
  StreamState begin() const {
    rnnx_stream_error error;
    return check(rnnx_stream_begin(model_.get(), &error), error);
  }

  // Reads the next chunk of a text: bytes, cut anywhere, also within a character.
  std::pair<StreamState, StreamAnswer> step(const StreamState& state, std::string_view chunk) const {
    rnnx_stream_error error;
    Answer answer;
    StreamState next = check(
        rnnx_stream_step(model_.get(), state.get(), chunk.data(), chunk.size(), &answer.value, &error), error);
    return {std::move(next), describe(answer.value)};
  }

  // Ends a text: reads the word that was held back.
  std::pair<StreamState, StreamAnswer> finish(const StreamState& state) const {
    rnnx_stream_error error;
    Answer answer;
    StreamState next = check(rnnx_stream_finish(model_.get(), state.get(), &answer.value, &error), error);
    return {std::move(next), describe(answer.value)};
  }

  // Writes a state as JSON, which the packages for Node and Python read too; and reads one.
  std::string to_json(const StreamState& state) const {
    rnnx_stream_error error;
    const std::unique_ptr<char, void (*)(char*)> json(
        rnnx_stream_state_to_json(model_.get(), state.get(), &error), rnnx_stream_json_free);
    if (!json) throw StreamError(error.message);
    return json.get();
  }

  StreamState from_json(std::string_view json) const {
    rnnx_stream_error error;
    return check(rnnx_stream_state_from_json(model_.get(), json.data(), json.size(), &error), error);
  }

 private:
  struct Free {
    void operator()(rnnx_stream_model* model) const { rnnx_stream_free(model); }
  };

  // Frees the answer at the end, also after an exception.
  struct Answer {
    rnnx_stream_answer value = {};
    ~Answer() { rnnx_stream_answer_free(&value); }
  };

  explicit StreamModel(const char* folder) {
    rnnx_stream_error error;
    model_.reset(rnnx_stream_load(folder, &error));
    if (!model_) throw StreamError(error.message);
    const char* const* labels = rnnx_stream_labels(model_.get());
    labels_.assign(labels, labels + rnnx_stream_label_count(model_.get()));
  }

  static StreamState check(rnnx_stream_state* state, const rnnx_stream_error& error) {
    if (!state) throw StreamError(error.message);
    return StreamState(state);
  }

  StreamAnswer describe(const rnnx_stream_answer& given) const {
    StreamAnswer answer;
    answer.words.assign(given.words, given.words + given.word_count);
    if (given.label) {
      answer.label = given.label;
      answer.probability = given.probability;
      answer.probs.assign(given.probs, given.probs + labels_.size());
    }
    if (given.has_number) answer.number = given.number;
    return answer;
  }

  std::unique_ptr<rnnx_stream_model, Free> model_;
  std::vector<std::string> labels_;
};

}  // namespace rnnx

#endif
