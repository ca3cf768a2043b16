// The shortest way from a text to its tags.
#include <rnnx_tagger.hpp>

#include <iostream>

int main() {
  // snippet
  const auto tagger = rnnx::Tagger::load();
  for (const rnnx::Sentence& sentence : tagger.tag("They didn't see it. Nobody did!"))
    for (const rnnx::Word& word : sentence) std::cout << word.text << "/" << word.tag << "\n";
  // end
}
