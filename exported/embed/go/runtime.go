package textclassifier

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

var starting sync.Mutex

// start loads onnxruntime, unless the program has done so.
func start() error {
	starting.Lock()
	defer starting.Unlock()
	if ort.IsInitialized() {
		return nil
	}
	if _, isSet := os.LookupEnv("ORT_DISABLE_TELEMETRY"); !isSet {
		os.Setenv("ORT_DISABLE_TELEMETRY", "1") // onnxruntime reads it when its environment is made
	}
	library := findLibrary()
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(); err != nil {
		return &ClassifierError{"cannot load onnxruntime from " + library + "; name it in ORT_DYLIB_PATH", err}
	}
	if os.Getenv("ORT_DISABLE_TELEMETRY") == "1" { // on Windows, nothing is sent until a session is made
		if err := ort.DisableTelemetry(); err != nil {
			return &ClassifierError{"cannot switch the telemetry of onnxruntime off", err}
		}
	}
	return nil
}

// findLibrary returns the path in ORT_DYLIB_PATH, or that of a release of onnxruntime next to the program or in the
// working directory. Otherwise it returns the name alone, which the system looks up.
func findLibrary() string {
	if path := os.Getenv("ORT_DYLIB_PATH"); path != "" {
		return path
	}
	name := "libonnxruntime.so"
	switch runtime.GOOS {
	case "darwin":
		name = "libonnxruntime.dylib"
	case "windows":
		name = "onnxruntime.dll"
	}
	var folders []string
	if program, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(program); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	if here, err := os.Getwd(); err == nil {
		folders = append(folders, here)
	}
	for _, folder := range folders {
		path := filepath.Join(folder, "onnxruntime", "lib", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return name
}
