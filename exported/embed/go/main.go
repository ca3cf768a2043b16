// Text in, label and probability out, with onnxruntime_go alone.
//
//	go run . "A wonderful film."    prints the label and its probability
//	go run . --golden               compares with golden.json; exits with 1 at the first difference
//
// Run it where model.text.onnx and golden.json lie.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// Classifier is a loaded text model.
type Classifier struct {
	session *ort.DynamicAdvancedSession
	Labels  []string
}

// Load reads a text model and, from its metadata, its labels.
func Load(path string) (*Classifier, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetIntraOpNumThreads(1); err != nil { // a recurrence only loses by more
		return nil, err
	}
	session, err := ort.NewDynamicAdvancedSession(path, []string{"text"}, []string{"probs"}, options)
	if err != nil {
		return nil, err
	}
	metadata, err := session.GetModelMetadata()
	if err != nil {
		return nil, err
	}
	defer metadata.Destroy()
	value, found, err := metadata.LookupCustomMetadataMap("rnnx")
	if err != nil || !found {
		return nil, errors.Join(errors.New("no labels in the file's metadata"), err)
	}
	var about struct{ Labels []string }
	if err := json.Unmarshal([]byte(value), &about); err != nil {
		return nil, err
	}
	return &Classifier{session, about.Labels}, nil
}

// Close frees the model.
func (c *Classifier) Close() error { return c.session.Destroy() }

// Predict gives the probabilities of each text, one per label. Rows are padded with zeros; an empty text is one zero.
func (c *Classifier) Predict(texts [][]byte) ([][]float32, error) {
	width := 1
	for _, text := range texts {
		width = max(width, len(text))
	}
	rows := make([]uint8, len(texts)*width)
	for i, text := range texts {
		copy(rows[i*width:], text)
	}
	text, err := ort.NewTensor(ort.NewShape(int64(len(texts)), int64(width)), rows)
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	probs, err := ort.NewEmptyTensor[float32](ort.NewShape(int64(len(texts)), int64(len(c.Labels))))
	if err != nil {
		return nil, err
	}
	defer probs.Destroy()
	if err := c.session.Run([]ort.Value{text}, []ort.Value{probs}); err != nil {
		return nil, err
	}
	answers := make([][]float32, len(texts))
	for i := range answers {
		answers[i] = append(answers[i], probs.GetData()[i*len(c.Labels):(i+1)*len(c.Labels)]...)
	}
	return answers, nil
}

type golden struct {
	Bytes     string
	TextProbs []float64 `json:"text_probs"`
	Tolerance float64
}

func runGolden(c *Classifier) error {
	data, err := os.ReadFile("golden.json")
	if err != nil {
		return err
	}
	var rows []golden
	if err := json.Unmarshal(data, &rows); err != nil {
		return err
	}
	texts := make([][]byte, len(rows))
	alone := make([][]float32, len(rows))
	for i, row := range rows {
		if texts[i], err = hex.DecodeString(row.Bytes); err != nil {
			return err
		}
		answers, err := c.Predict(texts[i : i+1])
		if err != nil {
			return err
		}
		alone[i] = answers[0]
	}
	start := time.Now()
	for i := range texts {
		if _, err := c.Predict(texts[i : i+1]); err != nil {
			return err
		}
	}
	microseconds := time.Since(start).Microseconds() / int64(len(texts))
	batch, err := c.Predict(texts)
	if err != nil {
		return err
	}
	largest := max(compare(rows, alone, "alone"), compare(rows, batch, "in a batch"))
	if math.IsInf(largest, 1) {
		os.Exit(1)
	}
	fmt.Printf("onnxruntime %s: %d of %d right, largest difference %.2g, %d us a text\n",
		ort.GetVersion(), 2*len(rows), 2*len(rows), largest, microseconds)
	return nil
}

// compare returns the largest difference, or infinity if one is larger than its tolerance.
func compare(rows []golden, answers [][]float32, where string) float64 {
	largest := 0.0
	for i, row := range rows {
		for label, expected := range row.TextProbs {
			difference := math.Abs(expected - float64(answers[i][label]))
			if !(difference <= row.Tolerance) {
				fmt.Printf("golden text %d %s: off by %.3g, more than %.3g\n", i, where, difference, row.Tolerance)
				return math.Inf(1)
			}
			largest = max(largest, difference)
		}
	}
	return largest
}

func run(argument string) error {
	library := os.Getenv("ORT_DYLIB_PATH")
	if library == "" {
		library = "onnxruntime/lib/libonnxruntime.so"
	}
	if _, isSet := os.LookupEnv("ORT_DISABLE_TELEMETRY"); !isSet {
		os.Setenv("ORT_DISABLE_TELEMETRY", "1") // onnxruntime reads it when its environment is made
	}
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(); err != nil {
		return err
	}
	defer ort.DestroyEnvironment()
	classifier, err := Load("model.text.onnx")
	if err != nil {
		return err
	}
	defer classifier.Close()
	if argument == "--golden" {
		return runGolden(classifier)
	}
	answers, err := classifier.Predict([][]byte{[]byte(argument)})
	if err != nil {
		return err
	}
	best := 0
	for i, p := range answers[0] {
		if p > answers[0][best] {
			best = i
		}
	}
	fmt.Printf("%s\t%.6f\n", classifier.Labels[best], answers[0][best])
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: main TEXT | --golden")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
