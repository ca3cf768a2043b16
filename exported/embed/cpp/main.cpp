// Text in, label and probability out, with onnxruntime's C++ API alone.
//
//   build/main "A wonderful film."    prints the label and its probability
//   build/main --golden               compares with golden.json; exits with 1 at the first difference
//
// Run it where model.text.onnx and golden.json lie.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using Probs = std::vector<float>;

class Classifier {
 public:
  explicit Classifier(const ORTCHAR_T* path) : session_(env_, path, Options()), labels_(ReadLabels(session_)) {}

  const std::vector<std::string>& labels() const { return labels_; }

  // Texts to probabilities, one per label. Rows are padded with zeros; an empty text is one zero.
  std::vector<Probs> Predict(const std::vector<std::string>& texts) {
    std::size_t width = 1;
    for (const auto& text : texts) width = std::max(width, text.size());
    std::vector<std::uint8_t> rows(texts.size() * width);
    for (std::size_t i = 0; i < texts.size(); i++)
      std::copy(texts[i].begin(), texts[i].end(), rows.begin() + static_cast<std::ptrdiff_t>(i * width));
    const std::int64_t shape[] = {static_cast<std::int64_t>(texts.size()), static_cast<std::int64_t>(width)};
    const auto text = Ort::Value::CreateTensor<std::uint8_t>(memory_, rows.data(), rows.size(), shape, 2);
    const char* const inputs[] = {"text"};
    const char* const outputs[] = {"probs"};
    const auto values = session_.Run(Ort::RunOptions{nullptr}, inputs, &text, 1, outputs, 1);
    const float* data = values.front().GetTensorData<float>();
    std::vector<Probs> probs;
    for (std::size_t i = 0; i < texts.size(); i++, data += labels_.size())
      probs.emplace_back(data, data + labels_.size());
    return probs;
  }

 private:
  static Ort::SessionOptions Options() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);  // a recurrence only loses by more
    return options;
  }

  // The file says itself what its outputs mean. Labels have no escapes but \" and \\.
  static std::vector<std::string> ReadLabels(const Ort::Session& session) {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto json = session.GetModelMetadata().LookupCustomMetadataMapAllocated("rnnx", allocator);
    const std::string text = json ? json.get() : "";
    std::smatch list;
    if (!std::regex_search(text, list, std::regex(R"re("labels":\s*\[([^\]]*)\])re")))
      throw std::runtime_error("no labels in the file's metadata");
    const std::string items = list[1];
    const std::regex item(R"re("((?:[^"\\]|\\.)*)")re");
    std::vector<std::string> labels;
    for (std::sregex_iterator it(items.begin(), items.end(), item), end; it != end; ++it)
      labels.push_back(std::regex_replace((*it)[1].str(), std::regex(R"(\\(.))"), "$1"));
    return labels;
  }

  Ort::Env env_{ORT_LOGGING_LEVEL_WARNING, "rnnx"};
  Ort::Session session_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<std::string> labels_;
};

struct Golden {
  std::string text;
  std::vector<double> probs;
  double tolerance = 0;
};

// Within a JSON string a quote is escaped, so these keys are found where they are keys alone.
std::vector<Golden> ReadGolden(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string(path) + ": cannot be read");
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  const auto behind = [&json](const std::string& key, std::size_t from) { return json.find(key, from) + key.size(); };
  const std::string bytes = "\"bytes\": \"";
  std::vector<Golden> rows;
  for (std::size_t at = json.find(bytes); at != std::string::npos; at = json.find(bytes, at)) {
    Golden row;
    for (at += bytes.size(); json[at] != '"'; at += 2)
      row.text.push_back(static_cast<char>(std::stoi(json.substr(at, 2), nullptr, 16)));
    for (at = json.find('[', behind("\"text_probs\":", at)); json[at] != ']'; at = json.find_first_of(",]", at + 1))
      row.probs.push_back(std::stod(json.substr(at + 1, 40)));
    row.tolerance = std::stod(json.substr(behind("\"tolerance\":", at), 40));
    rows.push_back(row);
  }
  return rows;
}

int RunGolden(Classifier& classifier) {
  const auto rows = ReadGolden("golden.json");
  std::vector<std::string> texts;
  std::vector<Probs> alone;
  for (const auto& row : rows) texts.push_back(row.text), alone.push_back(classifier.Predict({row.text}).front());
  const auto start = std::chrono::steady_clock::now();
  for (const auto& text : texts) classifier.Predict({text});
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  const std::vector<Probs> batch = classifier.Predict(texts);
  double largest = 0;
  for (const std::vector<Probs>* answers : {&std::as_const(alone), &batch}) {
    for (std::size_t i = 0; i < rows.size(); i++) {
      for (std::size_t label = 0; label < rows[i].probs.size(); label++) {
        const double difference = std::fabs((*answers)[i].at(label) - rows[i].probs[label]);
        if (!(difference <= rows[i].tolerance)) {
          std::cout << "golden text " << i << (answers == &alone ? " alone" : " in a batch") << ": off by "
                    << difference << ", more than " << rows[i].tolerance << "\n";
          return 1;
        }
        largest = std::max(largest, difference);
      }
    }
  }
  std::cout.precision(2);
  std::cout << "onnxruntime " << OrtGetApiBase()->GetVersionString() << ": " << 2 * rows.size() << " of "
            << 2 * rows.size() << " right, largest difference " << largest << ", "
            << std::lround(time.count() / static_cast<double>(rows.size())) << " us a text\n";
  return rows.empty();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " TEXT | --golden\n";
    return 2;
  }
#ifndef _WIN32
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // onnxruntime reads it when its environment is made
#endif
  Classifier classifier(ORT_TSTR("model.text.onnx"));
  const std::string argument = argv[1];
  if (argument == "--golden") return RunGolden(classifier);
  const Probs probs = classifier.Predict({argument}).front();
  const auto best = std::max_element(probs.begin(), probs.end());
  std::cout << classifier.labels().at(static_cast<std::size_t>(best - probs.begin())) << "\t" << std::fixed << *best
            << "\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
