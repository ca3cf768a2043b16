// Uses the C++ library of a kit for a stream: prints label and probability of the text on the standard input, which it
// reads byte by byte, and with a saved state; by the model of a folder if there is one.
#include <rnnx_text_stream.hpp>

#include <iostream>
#include <iterator>
#include <thread>

static void require(bool is_right, const char* what) {
  if (!is_right) throw std::logic_error(what);
}

int main(int count, char** words) try {
  bool is_refused = false;
  try {
    rnnx::StreamModel::load("absent");
  } catch (const rnnx::StreamError& error) {
    is_refused = std::string_view(error.what()).find("cannot read absent/model.stream.onnx") == 0;
  }
  require(is_refused, "a missing model");
  auto loaded = count > 1 ? rnnx::StreamModel::load(words[1]) : rnnx::StreamModel::load();
  const rnnx::StreamModel model = std::move(loaded);
  require(model.labels().at(1) == "pos", "labels");
  try {
    model.from_json("{}");
    require(false, "a wrong state");
  } catch (const rnnx::StreamError&) {
  }
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  rnnx::StreamState state = model.begin();
  std::size_t word_count = 0;
  for (const char& byte : text) {
    auto [next, answer] = model.step(state, {&byte, 1});
    require(answer.label.has_value() == !answer.probs.empty(), "an answer");
    word_count += answer.words.size();
    state = next;
  }
  require(!model.step(model.begin(), "").second.label, "no word");
  rnnx::StreamAnswer end;
  std::thread([&] { end = model.finish(model.from_json(model.to_json(state))).second; }).join();
  require(model.finish(state).second.probs == end.probs, "a saved state");
  std::cout << word_count + end.words.size() << "\n" << *end.label << "\t" << end.probability << "\n";
} catch (const rnnx::StreamError& error) {
  std::cerr << "StreamError: " << error.what() << "\n";
  return 3;
}
