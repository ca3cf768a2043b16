// The shortest way from a text to its probabilities.
#include <onnxruntime_cxx_api.h>

#include <iostream>

int main() {
  Ort::Env env;
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const char *const inputs[] = {"text"}, *const outputs[] = {"probs"};
  // snippet
  Ort::Session session(env, ORT_TSTR("model.text.onnx"), Ort::SessionOptions{});
  std::string text = "A wonderful film.";
  const std::int64_t shape[] = {1, static_cast<std::int64_t>(text.size())};
  auto input = Ort::Value::CreateTensor<std::uint8_t>(memory, (std::uint8_t*)text.data(), text.size(), shape, 2);
  auto probs = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);
  std::cout << probs[0].GetTensorData<float>()[1] << "\n";  // one probability per label
  // end
}
