// Package textclassifier reads texts with onnxruntime: text in, label and probability out.
package textclassifier

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

const (
	modelName = "model.text.onnx"
	mostBytes = 1 << 20 // of a batch: a long text does not widen the rows of many short ones
	mostTexts = 1024    // of a batch
)

//go:embed model.text.onnx
var packaged []byte

//go:embed golden.json
var golden []byte

// Golden returns the golden vectors of the model in this package, as JSON.
func Golden() []byte { return slices.Clone(golden) }

// ClassifierError says that onnxruntime or the model cannot be loaded, or that the model cannot be run.
type ClassifierError struct {
	Message string
	Err     error // the error of the file system or of onnxruntime; may be nil
}

func (e *ClassifierError) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the error of the file system or of onnxruntime.
func (e *ClassifierError) Unwrap() error { return e.Err }

// Prediction is the answer to a text.
type Prediction struct {
	Label       string    // the most probable label
	Probability float32   // the probability of that label
	Probs       []float32 // the probability of each label, in the order of Classifier.Labels
}

// Classifier is a text model in memory; Load makes it. Goroutines may share it. Close frees it.
type Classifier struct {
	session *ort.DynamicAdvancedSession
	labels  []string
}

// Load loads the model of this package. Its error is a *ClassifierError.
func Load() (*Classifier, error) {
	return load(packaged, "the model of this package")
}

// LoadFolder loads model.text.onnx of a folder. Its error is a *ClassifierError.
func LoadFolder(folder string) (*Classifier, error) {
	path := filepath.Join(folder, modelName)
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, &ClassifierError{"cannot read the model", err}
	}
	return load(model, path)
}

func load(model []byte, name string) (*Classifier, error) {
	if err := start(); err != nil {
		return nil, err
	}
	session, err := newSession(model)
	if err != nil {
		return nil, &ClassifierError{name + " is not a whole model", err}
	}
	labels, err := readLabels(session)
	if err != nil {
		return nil, &ClassifierError{name + " is not a whole model", errors.Join(err, session.Destroy())}
	}
	return &Classifier{session, labels}, nil
}

func newSession(model []byte) (*ort.DynamicAdvancedSession, error) {
	if len(model) == 0 {
		return nil, errors.New("it is empty")
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetIntraOpNumThreads(1); err != nil { // a recurrence only loses by more
		return nil, err
	}
	return ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"text"}, []string{"probs"}, options)
}

// readLabels reads the labels from the metadata: the file says itself what its outputs mean.
func readLabels(session *ort.DynamicAdvancedSession) ([]string, error) {
	metadata, err := session.GetModelMetadata()
	if err != nil {
		return nil, err
	}
	defer metadata.Destroy()
	value, found, err := metadata.LookupCustomMetadataMap("rnnx")
	if err != nil {
		return nil, err
	}
	var about struct{ Labels []string }
	if found {
		if err := json.Unmarshal([]byte(value), &about); err != nil {
			return nil, err
		}
	}
	if len(about.Labels) == 0 {
		return nil, errors.New("it has no labels")
	}
	return about.Labels, nil
}

// Close frees the model.
func (c *Classifier) Close() error { return c.session.Destroy() }

// Labels returns the labels, in the order of Prediction.Probs.
func (c *Classifier) Labels() []string { return slices.Clone(c.labels) }

// Predict reads one text. It may be empty, and need not be UTF-8. Its error is a *ClassifierError.
func (c *Classifier) Predict(text string) (Prediction, error) {
	predictions, err := c.PredictMany([]string{text})
	if err != nil {
		return Prediction{}, err
	}
	return predictions[0], nil
}

// PredictMany reads many texts, short and long ones, and answers in their order. Its error is a *ClassifierError.
func (c *Classifier) PredictMany(texts []string) ([]Prediction, error) {
	predictions := make([]Prediction, len(texts))
	for _, batch := range toBatches(texts) {
		rows := make([]string, len(batch))
		for row, i := range batch {
			rows[row] = texts[i]
		}
		answers, err := c.ComputeProbs(rows)
		if err != nil {
			return nil, err
		}
		for row, i := range batch {
			predictions[i] = c.describe(answers[row])
		}
	}
	return predictions, nil
}

// ComputeProbs gives the probabilities of each text, one per label, and computes them in one batch. Rows are padded
// with zeros; an empty text is one zero.
func (c *Classifier) ComputeProbs(texts []string) ([][]float32, error) {
	width := 1
	for _, text := range texts {
		width = max(width, len(text))
	}
	rows := make([]uint8, len(texts)*width)
	for i, text := range texts {
		copy(rows[i*width:], text)
	}
	probs, err := c.run(rows, int64(len(texts)), int64(width))
	if err != nil {
		return nil, &ClassifierError{"the model cannot be run", err}
	}
	answers := make([][]float32, len(texts))
	for i := range answers {
		answers[i] = probs[i*len(c.labels) : (i+1)*len(c.labels) : (i+1)*len(c.labels)]
	}
	return answers, nil
}

func (c *Classifier) run(rows []uint8, count, width int64) ([]float32, error) {
	text, err := ort.NewTensor(ort.NewShape(count, width), rows)
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	probs, err := ort.NewEmptyTensor[float32](ort.NewShape(count, int64(len(c.labels))))
	if err != nil {
		return nil, err
	}
	defer probs.Destroy()
	if err := c.session.Run([]ort.Value{text}, []ort.Value{probs}); err != nil {
		return nil, err
	}
	return slices.Clone(probs.GetData()), nil
}

func (c *Classifier) describe(probs []float32) Prediction {
	best := 0
	for i, p := range probs {
		if p > probs[best] {
			best = i
		}
	}
	return Prediction{c.labels[best], probs[best], probs}
}

// toBatches puts the positions of texts into batches of similar lengths.
func toBatches(texts []string) [][]int {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[a]), len(texts[b])) })
	var batches [][]int
	for _, i := range order {
		last := len(batches) - 1
		if last < 0 || len(batches[last]) == mostTexts || (len(batches[last])+1)*len(texts[i]) > mostBytes {
			batches = append(batches, nil)
			last++
		}
		batches[last] = append(batches[last], i)
	}
	return batches
}
