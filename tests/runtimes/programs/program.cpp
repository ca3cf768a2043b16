// Uses the C++ library of a kit: prints label and probability of a text, by the model of a folder if there is one.
#include <rnnx_text_classifier.hpp>

#include <cmath>
#include <iostream>
#include <thread>

static void require(bool is_right, const char* what) {
  if (!is_right) throw std::logic_error(what);
}

// Many texts of other lengths: their order is kept, and a long one does not change the others.
static void read_many(const rnnx::Classifier& classifier) {
  std::vector<std::string> texts(3002);
  texts.front() = "awful";
  texts[1] = std::string(1000000, 'x');
  texts.back() = "wonderful";
  const auto predictions = classifier.predict_many(texts);
  require(predictions.size() == 3002 && predictions.front().label == "neg", "the order");
  require(predictions.back().label == "pos", "the order");
  require(std::abs(classifier.predict("").probs[0] - predictions[2].probs[0]) < 1e-6f, "an empty text");
  require(classifier.predict_many(std::vector<std::string_view>{}).empty(), "no text");
  require(classifier.predict_many({"awful", texts.back()}).at(1).label == "pos", "a list");
}

int main(int count, char** words) try {
  bool is_refused = false;
  try {
    rnnx::Classifier::load("absent");
  } catch (const rnnx::ClassifierError& error) {
    is_refused = std::string_view(error.what()).find("cannot read absent") == 0;
  }
  require(is_refused, "a missing model");
  auto loaded = count > 1 ? rnnx::Classifier::load(words[1]) : rnnx::Classifier::load();
  const rnnx::Classifier classifier = std::move(loaded);
  const std::vector<std::string>& labels = classifier.labels();
  const rnnx::Prediction prediction = classifier.predict("A wonderful film.");
  require(labels.size() == 2 && prediction.label == labels[1], "labels");
  require(prediction.probability == prediction.probs.at(1), "the best label");
  float in_a_thread = 0;
  std::thread([&] { in_a_thread = classifier.predict("A wonderful film.").probability; }).join();
  require(in_a_thread == prediction.probability, "a thread");
  if (count < 3) read_many(classifier);
  std::cout << prediction.label << "\t" << prediction.probability << "\n";
} catch (const rnnx::ClassifierError& error) {
  std::cerr << "ClassifierError: " << error.what() << "\n";
  return 3;
}
