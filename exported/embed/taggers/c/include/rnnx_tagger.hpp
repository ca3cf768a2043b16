// Text in, sentences of tagged words out: the library of rnnx_tagger.h for C++17, with exceptions.
#ifndef RNNX_TAGGER_HPP
#define RNNX_TAGGER_HPP

#include <rnnx_tagger.h>

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
class TaggerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A word of a text, which is `text.substr(start, end - start)`, its most probable tag, and the probability of that.
struct Word {
  std::string text;
  std::size_t start = 0, end = 0;
  std::string tag;
  float probability = 0;
};

using Sentence = std::vector<Word>;

// A tagger in memory. It can be moved, and threads may share it.
class Tagger {
 public:
  // Loads the model of this package. As rnnx_tagger_load, it may set an environment variable.
  static Tagger load() { return Tagger(nullptr); }

  // Loads the files model.onnx, vocabulary.txt and config.json in a folder.
  static Tagger load(const std::string& folder) { return Tagger(folder.c_str()); }

  const std::vector<std::string>& tags() const { return tags_; }

  // Splits one text, bytes that need not be UTF-8, into sentences of words, and tags the words. It may be empty.
  std::vector<Sentence> tag(std::string_view text) const { return std::move(tag_many({text}).front()); }

  // Tags many texts, such as those of a std::vector<std::string>, and answers in their order.
  template <typename Texts>
  std::vector<std::vector<Sentence>> tag_many(const Texts& texts) const {
    static_assert(std::is_lvalue_reference_v<decltype(*std::begin(texts))>, "the texts must be there until the end");
    std::vector<rnnx_tagger_text> rows;
    for (const std::string_view text : texts) rows.push_back({text.data(), text.size()});
    return read(rows);
  }

  std::vector<std::vector<Sentence>> tag_many(std::initializer_list<std::string_view> texts) const {
    return tag_many<std::initializer_list<std::string_view>>(texts);
  }

 private:
  struct Free {
    void operator()(rnnx_tagger* tagger) const { rnnx_tagger_free(tagger); }
  };

  // Frees the answers at the end, also after an exception.
  struct Answers : std::vector<rnnx_words> {
    using std::vector<rnnx_words>::vector;
    Answers(const Answers&) = delete;
    ~Answers() {
      for (auto& answer : *this) rnnx_words_free(&answer);
    }
  };

  explicit Tagger(const char* folder) {
    rnnx_tagger_error error;
    tagger_.reset(rnnx_tagger_load(folder, &error));
    if (!tagger_) throw TaggerError(error.message);
    const char* const* tags = rnnx_tagger_tags(tagger_.get());
    tags_.assign(tags, tags + rnnx_tagger_tag_count(tagger_.get()));
  }

  std::vector<std::vector<Sentence>> read(const std::vector<rnnx_tagger_text>& texts) const {
    rnnx_tagger_error error;
    Answers answers(texts.size());
    if (rnnx_tagger_tag_many(tagger_.get(), texts.data(), texts.size(), answers.data(), &error))
      throw TaggerError(error.message);
    std::vector<std::vector<Sentence>> found(texts.size());
    for (std::size_t i = 0; i < texts.size(); i++) {
      found[i].resize(answers[i].sentence_count);
      for (std::size_t k = 0; k < answers[i].word_count; k++) {
        const rnnx_word& word = answers[i].words[k];
        found[i][word.sentence].push_back({{texts[i].bytes + word.start, texts[i].bytes + word.end},
                                           word.start, word.end, word.tag, word.probability});
      }
    }
    return found;
  }

  std::unique_ptr<rnnx_tagger, Free> tagger_;
  std::vector<std::string> tags_;
};

}  // namespace rnnx

#endif
