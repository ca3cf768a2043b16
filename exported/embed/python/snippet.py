import os; os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is imported
import numpy as np, onnxruntime as ort
session = ort.InferenceSession("model.text.onnx", providers=["CPUExecutionProvider"])
text = np.frombuffer(b"A wonderful film.", np.uint8)[None]
probs = session.run(["probs"], {"text": text})[0][0]
print(*probs)  # one probability per label, in the order of the labels in the file's metadata
