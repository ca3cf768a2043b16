// The shortest way from a text to its probabilities; errors are left to classifier.go.
package main

import (
	"fmt"
	"os"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	ort.SetSharedLibraryPath(os.Getenv("ORT_DYLIB_PATH"))
	// snippet
	os.Setenv("ORT_DISABLE_TELEMETRY", "1") // before onnxruntime starts
	_ = ort.InitializeEnvironment()
	text := []byte("A wonderful film.")
	session, _ := ort.NewDynamicAdvancedSession("model.text.onnx", []string{"text"}, []string{"probs"}, nil)
	input, _ := ort.NewTensor(ort.NewShape(1, int64(len(text))), text)
	outputs := []ort.Value{nil}
	_ = session.Run([]ort.Value{input}, outputs)
	fmt.Println(outputs[0].(*ort.Tensor[float32]).GetData()) // one probability per label
	// end
}
