// The shortest way from a text to its probabilities.
#include <onnxruntime_cxx_api.h>

#include <cstdlib>
#include <iostream>

int main() {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const char *const inputs[] = {"text"}, *const outputs[] = {"probs"};
  // snippet
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // before an Ort::Env is made
  Ort::Env env;
  Ort::Session session(env, ORT_TSTR("model.text.onnx"), Ort::SessionOptions{});
  std::string text = "A wonderful film.";
  const std::int64_t shape[] = {1, static_cast<std::int64_t>(text.size())};
  auto input = Ort::Value::CreateTensor<std::uint8_t>(memory, (std::uint8_t*)text.data(), text.size(), shape, 2);
  auto probs = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);
  std::cout << probs[0].GetTensorData<float>()[1] << "\n";  // one probability per label
  // end
}
