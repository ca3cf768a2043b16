// For `import`: the files of the model are next to this one, for bundlers too that know new URL(..., import.meta.url).
import library from "./model.cjs";

export const { StreamModel, StreamError } = library;

StreamModel.files = () => {
  if (!import.meta.url) throw new StreamError("a bundle without import.meta.url: give load() the folder of the model");
  return [
    new URL("./model/model.stream.onnx", import.meta.url),
    new URL("./model/vocabulary.txt", import.meta.url),
    new URL("./model/config.json", import.meta.url),
  ];
};
