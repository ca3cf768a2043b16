module example.com/rnnx-text-classifier

go 1.22

require github.com/yalue/onnxruntime_go v1.27.0
