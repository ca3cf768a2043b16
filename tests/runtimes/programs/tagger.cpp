// Uses the C++ library of a kit for a tagger, as tagger.c uses that for C.
#include <rnnx_tagger.hpp>

#include <cstdio>
#include <iostream>
#include <thread>

static void require(bool is_right, const char* what) {
  if (!is_right) throw std::logic_error(what);
}

static std::vector<std::string> read_texts() {
  std::vector<std::string> texts;
  for (std::string hex; std::getline(std::cin, hex, ',');) {
    std::string& text = texts.emplace_back();
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return texts;
}

static void print_sentences(const std::string& text, const std::vector<rnnx::Sentence>& sentences) {
  std::printf("[");
  for (const auto& sentence : sentences) {
    std::printf(&sentence == &sentences[0] ? "[" : ",[");
    for (const auto& word : sentence) {
      require(word.text == text.substr(word.start, word.end - word.start), "the text of a word");
      const char* separator = &word == &sentence[0] ? "" : ",";
      std::printf("%s[%zu,%zu,\"%s\",%.9g]", separator, word.start, word.end, word.tag.c_str(), word.probability);
    }
    std::printf("]");
  }
  std::printf("]");
}

int main(int count, char** words) try {
  bool is_refused = false;
  try {
    rnnx::Tagger::load("absent");
  } catch (const rnnx::TaggerError& error) {
    is_refused = std::string_view(error.what()).find("cannot read absent/model.onnx") == 0;
  }
  require(is_refused, "a missing model");
  auto loaded = count > 1 ? rnnx::Tagger::load(words[1]) : rnnx::Tagger::load();
  const rnnx::Tagger tagger = std::move(loaded);
  require(tagger.tags().at(0) == "ADJ" && tagger.tag("").empty(), "an empty text");
  require(tagger.tag_many({"Good.", "Bad. Bad."}).at(1).size() == 2, "a list");
  std::thread([&] { require(tagger.tag("A film.").at(0).size() == 3, "a thread"); }).join();
  const auto texts = read_texts();
  const auto answers = tagger.tag_many(texts);
  for (std::size_t i = 0; i < texts.size(); i++) {
    std::printf(i ? ",\n" : "[");
    print_sentences(texts[i], answers[i]);
  }
  std::printf("]\n");
} catch (const rnnx::TaggerError& error) {
  std::cerr << "TaggerError: " << error.what() << "\n";
  return 3;
}
