// For `import`: the files of the model are next to this one, for bundlers too that know new URL(..., import.meta.url).
import library from "./classifier.cjs";

export const { Classifier, ClassifierError } = library;

Classifier.files = () => {
  if (!import.meta.url) throw new ClassifierError("a bundle without import.meta.url: give load() the folder of the model");
  return [new URL("./model.text.onnx", import.meta.url), new URL("./config.json", import.meta.url)];
};
