//! onnxruntime's library, which the first classifier loads.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;

use crate::ClassifierError;

/// Returns the environment of the process; makes it if need be, and tries again after a failure.
pub fn environment() -> Result<&'static Environment, ClassifierError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let is_telemetry_unset = env::var_os("ORT_DISABLE_TELEMETRY").is_none();
    if is_telemetry_unset {
        env::set_var("ORT_DISABLE_TELEMETRY", "1"); // onnxruntime reads it when it is loaded
    }
    let environment = ort::init_from(find_library())
        .map_err(|error| ClassifierError::Runtime(format!("{error}; name its library in ORT_DYLIB_PATH")))?
        .with_telemetry(!is_telemetry_unset)
        .build()
        .map_err(|error| ClassifierError::Runtime(format!("{error}; give yours to `load_in`")))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// The library that `ORT_DYLIB_PATH` names, or one in a folder `onnxruntime`, or that of the system.
fn find_library() -> PathBuf {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let name = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    if let Ok(program) = env::current_exe() {
        folders.insert(0, program.with_file_name(""));
    }
    folders
        .into_iter()
        .map(|folder| folder.join("onnxruntime/lib").join(&name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}
