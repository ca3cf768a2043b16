//! Text in, label and probability out, with `ort` alone.
//!
//!     cargo run --release -- "A wonderful film."    prints the label and its probability
//!     cargo run --release -- --golden               compares with golden.json; exits with 1 at the first difference
//!
//! Run it where model.text.onnx and golden.json lie.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use serde::Deserialize;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the file says of itself, of which this program needs the labels.
#[derive(Deserialize)]
struct About {
    labels: Vec<String>,
}

struct Classifier {
    session: Session,
    labels: Vec<String>,
}

impl Classifier {
    fn load(environment: &Environment, path: &str) -> Result<Self> {
        // One thread: a recurrence only loses by more.
        let session = Session::builder(environment)?
            .with_intra_threads(1)?
            .commit_from_file(path)?;
        let json = session
            .metadata()?
            .custom("rnnx")
            .ok_or("no labels in the file's metadata")?;
        let About { labels } = serde_json::from_str(&json)?;
        Ok(Self { session, labels })
    }

    /// Texts to probabilities, one per label. Rows are padded with zeros; an empty text is one zero.
    fn predict(&mut self, texts: &[&[u8]]) -> Result<Vec<Vec<f32>>> {
        let width = texts
            .iter()
            .map(|text| text.len())
            .max()
            .unwrap_or(0)
            .max(1);
        let mut rows = vec![0u8; texts.len() * width];
        for (row, text) in rows.chunks_mut(width).zip(texts) {
            row[..text.len()].copy_from_slice(text);
        }
        let text = Tensor::from_array(([texts.len(), width], rows))?;
        let outputs = self.session.run(ort::inputs!["text" => text])?;
        let (_, probs) = outputs["probs"].try_extract_tensor::<f32>()?;
        Ok(probs
            .chunks(self.labels.len())
            .map(<[f32]>::to_vec)
            .collect())
    }
}

/// One row of golden.json; its `text` is left aside, since JSON has no place for what is no UTF-8.
#[derive(Deserialize)]
struct Golden {
    bytes: String,
    text_probs: Vec<f64>,
    tolerance: f64,
}

fn decode_hex(hex: &str) -> Result<Vec<u8>> {
    (0..hex.len())
        .step_by(2)
        .map(|i| Ok(u8::from_str_radix(&hex[i..i + 2], 16)?))
        .collect()
}

fn run_golden(classifier: &mut Classifier) -> Result<ExitCode> {
    let rows: Vec<Golden> = serde_json::from_slice(&std::fs::read("golden.json")?)?;
    let texts = rows
        .iter()
        .map(|row| decode_hex(&row.bytes))
        .collect::<Result<Vec<_>>>()?;
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let mut alone = Vec::new();
    for text in &texts {
        alone.extend(classifier.predict(&[text])?);
    }
    let start = Instant::now();
    for text in &texts {
        classifier.predict(&[text])?;
    }
    let microseconds = start.elapsed().as_secs_f64() * 1e6 / texts.len() as f64;
    let mut largest = 0f64;
    for (place, answers) in [
        ("alone", alone),
        ("in a batch", classifier.predict(&texts)?),
    ] {
        for (i, (row, answer)) in rows.iter().zip(answers).enumerate() {
            for (expected, actual) in row.text_probs.iter().zip(answer) {
                let difference = (expected - f64::from(actual)).abs();
                // Written so that a NaN fails.
                if !matches!(difference.partial_cmp(&row.tolerance), Some(order) if order.is_le()) {
                    println!(
                        "golden text {i} {place}: off by {difference:.3e}, more than {:.3e}",
                        row.tolerance
                    );
                    return Ok(ExitCode::FAILURE);
                }
                largest = largest.max(difference);
            }
        }
    }
    let count = 2 * rows.len();
    println!("onnxruntime (ort): {count} of {count} right, largest difference {largest:.1e}, {microseconds:.0} us a text");
    Ok(ExitCode::SUCCESS)
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [argument] = arguments.as_slice() else {
        eprintln!("usage: main TEXT | --golden");
        return Ok(ExitCode::from(2));
    };
    let library =
        std::env::var("ORT_DYLIB_PATH").unwrap_or("onnxruntime/lib/libonnxruntime.so".into());
    if std::env::var_os("ORT_DISABLE_TELEMETRY").is_none() {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1"); // onnxruntime reads it when it is loaded
    }
    let environment = ort::init_from(library)?.build()?;
    let mut classifier = Classifier::load(&environment, "model.text.onnx")?;
    if argument == "--golden" {
        return run_golden(&mut classifier);
    }
    let probs = classifier.predict(&[argument.as_bytes()])?.remove(0);
    let best = (0..probs.len())
        .max_by(|&a, &b| probs[a].total_cmp(&probs[b]))
        .ok_or("no label")?;
    println!("{}\t{:.6}", classifier.labels[best], probs[best]);
    Ok(ExitCode::SUCCESS)
}
