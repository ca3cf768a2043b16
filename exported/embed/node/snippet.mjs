process.env.ORT_DISABLE_TELEMETRY ??= "1"; // before onnxruntime is loaded
const { default: ort } = await import("onnxruntime-node");
const session = await ort.InferenceSession.create("model.text.onnx");
const text = new TextEncoder().encode("A wonderful film.");
const { probs } = await session.run({ text: new ort.Tensor("uint8", text, [1, text.length]) });
console.log(...probs.data); // one probability per label, in the order of the labels in config.json
