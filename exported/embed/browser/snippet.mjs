import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
const session = await ort.InferenceSession.create("model.text.onnx");
const text = new TextEncoder().encode("A wonderful film.");
const { probs } = await session.run({ text: new ort.Tensor("uint8", text, [1, text.length]) });
console.log(...probs.data); // one probability per label, in the order of the labels in config.json
