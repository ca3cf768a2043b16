// The command around the library: rnnx-text-classifier --help.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	textclassifier "example.com/rnnx-text-classifier"
)

const usage = `usage: rnnx-text-classifier [--model FOLDER] TEXT | --file PATH | --golden | --help

  TEXT            prints the label of a text and its probability
  -- TEXT         the same, for a text that looks like an option
  --file PATH     reads the text from a file; - is the standard input
  --golden        compares with golden.json; exits with 1 at the first difference
  --model FOLDER  takes the model and golden.json from a folder, not from the package

Without a text, it comes from the standard input.
`

var option = regexp.MustCompile(`^--?[a-z-]*$`)

// source is where the model is: a folder, or the package.
type source struct{ folder string }

func (s source) load() (*textclassifier.Classifier, error) {
	if s.folder == "" {
		return textclassifier.Load()
	}
	return textclassifier.LoadFolder(s.folder)
}

func (s source) golden() ([]byte, error) {
	if s.folder == "" {
		return textclassifier.Golden(), nil
	}
	return os.ReadFile(filepath.Join(s.folder, "golden.json"))
}

// run runs the command, and returns its exit code.
func run(words []string) (int, error) {
	if len(words) == 1 && (words[0] == "--help" || words[0] == "-h") {
		fmt.Print(usage)
		return 0, nil
	}
	var model source
	if len(words) > 1 && words[0] == "--model" {
		model.folder, words = words[1], words[2:]
	}
	if slices.Equal(words, []string{"--golden"}) {
		return runGolden(model)
	}
	text, isRight, err := readText(words)
	if err != nil {
		return 1, err
	}
	if !isRight {
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
	classifier, err := model.load()
	if err != nil {
		return 1, err
	}
	defer classifier.Close()
	prediction, err := classifier.Predict(text)
	if err != nil {
		return 1, err
	}
	fmt.Printf("%s\t%.6f\n", prediction.Label, prediction.Probability)
	return 0, nil
}

// readText returns the text that the arguments name, and whether they are right.
func readText(words []string) (text string, isRight bool, err error) {
	var data []byte
	switch {
	case len(words) == 0, slices.Equal(words, []string{"--file", "-"}):
		data, err = io.ReadAll(os.Stdin)
	case len(words) == 2 && words[0] == "--file":
		data, err = os.ReadFile(words[1])
	case len(words) == 2 && words[0] == "--":
		return words[1], true, nil
	case len(words) == 1 && !option.MatchString(words[0]):
		return words[0], true, nil
	default:
		return "", false, nil
	}
	return string(data), true, err
}

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n") // onnxruntime's own messages may have more
		fmt.Fprintln(os.Stderr, "error: "+line)
	}
	os.Exit(code)
}
