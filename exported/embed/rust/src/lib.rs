//! Text in, label and probability out: a text model with its tokenizer in the file, on `ort` alone.
//!
//! ```no_run
//! use rnnx_text_classifier::Classifier;
//!
//! let classifier = Classifier::load()?;
//! let prediction = classifier.predict("A wonderful film.")?;
//! println!("{} {}", prediction.label, prediction.probability);
//! # Ok::<(), rnnx_text_classifier::ClassifierError>(())
//! ```

mod batches;
mod error;
mod runtime;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use serde_json::value::RawValue;

pub use error::ClassifierError;
pub use ort;

const MODEL: &str = "model.text.onnx";
static MODEL_BYTES: &[u8] = include_bytes!("../model.text.onnx");

/// The answer to a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable label.
    pub label: String,
    /// Its probability.
    pub probability: f32,
    /// The probability of each label, in the order of [`Classifier::labels`].
    pub probs: Vec<f32>,
}

/// A text model in memory. Threads may share one; it reads one batch at a time.
#[derive(Debug)]
pub struct Classifier {
    session: Mutex<Session>,
    labels: Vec<String>,
}

impl Classifier {
    /// Loads the model of this crate, which is part of the program.
    ///
    /// The first call loads onnxruntime: the library that `ORT_DYLIB_PATH` names, or `onnxruntime/lib` next to the
    /// program or in the folder of this crate, or that of the system. It sets `ORT_DISABLE_TELEMETRY` unless you have,
    /// so make it while no other thread reads or writes the environment.
    pub fn load() -> Result<Self, ClassifierError> {
        Self::from_memory(runtime::environment()?, MODEL_BYTES, MODEL)
    }

    /// Loads the file `model.text.onnx` in a folder.
    pub fn load_from(folder: impl AsRef<Path>) -> Result<Self, ClassifierError> {
        let path = folder.as_ref().join(MODEL);
        let name = path.display().to_string();
        let model = std::fs::read(&path).map_err(|source| ClassifierError::Read { path, source })?;
        Self::from_memory(runtime::environment()?, &model, &name)
    }

    /// Loads the model of this crate in an environment of yours: `ort` allows a process one environment only.
    pub fn load_in(environment: &Environment) -> Result<Self, ClassifierError> {
        Self::from_memory(environment, MODEL_BYTES, MODEL)
    }

    fn from_memory(environment: &Environment, model: &[u8], name: &str) -> Result<Self, ClassifierError> {
        let broken = |reason: String| ClassifierError::Model {
            name: name.to_owned(),
            reason,
        };
        let session = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?)) // a recurrence only loses by more
            .and_then(|mut builder| builder.commit_from_memory(model))
            .map_err(|error| broken(error.to_string()))?;
        let json = session
            .metadata()
            .map_err(|error| broken(error.to_string()))?
            .custom("rnnx")
            .ok_or_else(|| broken("its metadata has no labels".to_owned()))?;
        let labels = read_labels(&json).ok_or_else(|| broken("its metadata has no labels".to_owned()))?;
        Ok(Self {
            session: Mutex::new(session),
            labels,
        })
    }

    /// The labels, in the order of [`Prediction::probs`].
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Reads one text: a string, or bytes, which need not be UTF-8. It may be empty.
    pub fn predict(&self, text: impl AsRef<[u8]>) -> Result<Prediction, ClassifierError> {
        let probs = self.compute_probs(&[text.as_ref()])?.swap_remove(0);
        Ok(self.describe(probs))
    }

    /// Reads many texts, and answers in their order.
    pub fn predict_many<T: AsRef<[u8]>>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Prediction>, ClassifierError> {
        let texts: Vec<T> = texts.into_iter().collect();
        let texts: Vec<&[u8]> = texts.iter().map(AsRef::as_ref).collect();
        let mut answers = vec![Vec::new(); texts.len()];
        for batch in batches::of_similar_lengths(&texts) {
            let rows: Vec<&[u8]> = batch.iter().map(|&i| texts[i]).collect();
            for (&i, probs) in batch.iter().zip(self.compute_probs(&rows)?) {
                answers[i] = probs;
            }
        }
        Ok(answers.into_iter().map(|probs| self.describe(probs)).collect())
    }

    /// Texts, in one batch, to probabilities, one per label. Rows are padded with zeros; an empty text is one zero.
    pub fn compute_probs(&self, texts: &[&[u8]]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let width = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
        let mut rows = vec![0u8; texts.len() * width];
        for (row, text) in rows.chunks_mut(width).zip(texts) {
            row[..text.len()].copy_from_slice(text);
        }
        let text = Tensor::from_array(([texts.len(), width], rows)).map_err(ClassifierError::Run)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session
            .run(ort::inputs!["text" => text])
            .map_err(ClassifierError::Run)?;
        let probs = outputs
            .get("probs")
            .ok_or_else(|| ClassifierError::Run(ort::Error::new("it has no output `probs`")))?
            .try_extract_tensor::<f32>()
            .map_err(ClassifierError::Run)?
            .1;
        if probs.len() != texts.len() * self.labels.len() {
            return Err(ClassifierError::Run(ort::Error::new(
                "its labels are not those of its output",
            )));
        }
        Ok(probs.chunks(self.labels.len()).map(<[f32]>::to_vec).collect())
    }

    fn describe(&self, probs: Vec<f32>) -> Prediction {
        let mut best = 0;
        for i in 1..probs.len() {
            if probs[i] > probs[best] {
                best = i;
            }
        }
        Prediction {
            label: self.labels[best].clone(),
            probability: probs[best],
            probs,
        }
    }
}

/// What the file says of itself, of which this crate needs the labels.
fn read_labels(json: &str) -> Option<Vec<String>> {
    let about: HashMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
    let labels: Vec<String> = serde_json::from_str(about.get("labels")?.get()).ok()?;
    (!labels.is_empty()).then_some(labels)
}
