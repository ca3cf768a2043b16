//! What can go wrong.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// The model or onnxruntime cannot be loaded, or the model cannot be run.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClassifierError {
    /// onnxruntime's library is missing or too old, or the program has an environment of its own.
    Runtime(String),
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is damaged, or no text model of rnnx.
    Model {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model cannot be run.
    Run(ort::Error),
}

impl fmt::Display for ClassifierError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(reason) => write!(out, "cannot load onnxruntime: {reason}"),
            Self::Read { path, source } => write!(out, "cannot read {}: {source}", path.display()),
            Self::Model { name, reason } => write!(out, "{name} is not a whole model: {reason}"),
            Self::Run(error) => write!(out, "the model cannot be run: {error}"),
        }
    }
}

impl Error for ClassifierError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Run(error) => Some(error),
            Self::Runtime(_) | Self::Model { .. } => None,
        }
    }
}
