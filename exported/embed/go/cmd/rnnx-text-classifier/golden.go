package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	textclassifier "example.com/rnnx-text-classifier"
	ort "github.com/yalue/onnxruntime_go"
)

// vector is a golden vector: a text, and the probabilities of the reference in float64.
type vector struct {
	Bytes     string
	Probs     []float64 `json:"text_probs"`
	Tolerance float64
}

// runGolden compares a model with its golden vectors, alone and in one batch, and returns the exit code.
func runGolden(model source) (int, error) {
	data, err := model.golden()
	if err != nil {
		return 1, err
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		return 1, fmt.Errorf("golden.json: %w", err)
	}
	texts := make([]string, len(vectors))
	for i, v := range vectors {
		text, err := hex.DecodeString(v.Bytes)
		if err != nil {
			return 1, fmt.Errorf("golden.json: %w", err)
		}
		texts[i] = string(text)
	}
	classifier, err := model.load()
	if err != nil {
		return 1, err
	}
	defer classifier.Close()
	return compareAll(classifier, vectors, texts)
}

func compareAll(classifier *textclassifier.Classifier, vectors []vector, texts []string) (int, error) {
	alone, err := computeAlone(classifier, texts)
	if err != nil {
		return 1, err
	}
	start := time.Now()
	if _, err := computeAlone(classifier, texts); err != nil {
		return 1, err
	}
	microseconds := time.Since(start).Microseconds() / int64(len(texts))
	batch, err := classifier.ComputeProbs(texts)
	if err != nil {
		return 1, err
	}
	largest := compare(vectors, alone, "alone")
	if !math.IsInf(largest, 1) {
		largest = max(largest, compare(vectors, batch, "in a batch"))
	}
	if math.IsInf(largest, 1) {
		return 1, nil
	}
	fmt.Printf("onnxruntime %s: %d of %d right, largest difference %.2g, %d us a text\n",
		ort.GetVersion(), 2*len(vectors), 2*len(vectors), largest, microseconds)
	return 0, nil
}

func computeAlone(classifier *textclassifier.Classifier, texts []string) ([][]float32, error) {
	answers := make([][]float32, len(texts))
	for i := range texts {
		answer, err := classifier.ComputeProbs(texts[i : i+1])
		if err != nil {
			return nil, err
		}
		answers[i] = answer[0]
	}
	return answers, nil
}

// compare returns the largest difference, or infinity if one is larger than its tolerance.
func compare(vectors []vector, answers [][]float32, where string) float64 {
	largest := 0.0
	for i, v := range vectors {
		for label, expected := range v.Probs {
			difference := math.Abs(expected - float64(answers[i][label]))
			if !(difference <= v.Tolerance) {
				fmt.Printf("golden text %d %s: off by %.3g, more than %.3g\n", i, where, difference, v.Tolerance)
				return math.Inf(1)
			}
			largest = max(largest, difference)
		}
	}
	return largest
}
