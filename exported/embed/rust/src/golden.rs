//! The golden vectors: texts with their probabilities in float64.

use std::collections::HashMap;
use std::error::Error;
use std::time::Instant;

use rnnx_text_classifier::Classifier;
use serde_json::value::RawValue;

static GOLDEN: &str = include_str!("../golden.json");

/// One row of golden.json.
struct Row {
    text: Vec<u8>,
    probs: Vec<f64>,
    tolerance: f64,
}

impl Row {
    /// Reads a row; its `text` is left aside, since JSON has no place for what is no UTF-8.
    fn read(fields: &HashMap<String, Box<RawValue>>) -> Result<Self, Box<dyn Error>> {
        let field = |name: &str| fields.get(name).map_or("null", |value| value.get());
        Ok(Self {
            text: decode_hex(serde_json::from_str(field("bytes"))?)?,
            probs: serde_json::from_str(field("text_probs"))?,
            tolerance: serde_json::from_str(field("tolerance"))?,
        })
    }
}

/// Compares the answers, alone and in one batch. Prints what it found; returns whether all are right.
pub fn run(classifier: &Classifier) -> Result<bool, Box<dyn Error>> {
    let rows: Vec<HashMap<String, Box<RawValue>>> = serde_json::from_str(GOLDEN)?;
    let rows = rows.iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<&[u8]> = rows.iter().map(|row| row.text.as_slice()).collect();
    let mut alone = Vec::new();
    for text in &texts {
        alone.extend(classifier.compute_probs(&[text])?);
    }
    let start = Instant::now();
    for text in &texts {
        classifier.compute_probs(&[text])?;
    }
    let microseconds = start.elapsed().as_secs_f64() * 1e6 / texts.len() as f64;
    let mut largest = 0f64;
    for (place, answers) in [("alone", alone), ("in a batch", classifier.compute_probs(&texts)?)] {
        for (i, (row, answer)) in rows.iter().zip(&answers).enumerate() {
            let difference = find_difference(&row.probs, answer);
            if !matches!(difference.partial_cmp(&row.tolerance), Some(order) if order.is_le()) {
                let tolerance = row.tolerance;
                println!("golden text {i} {place}: off by {difference:.3e}, more than {tolerance:.3e}");
                return Ok(false);
            }
            largest = largest.max(difference);
        }
    }
    let count = 2 * rows.len();
    println!(
        "onnxruntime (ort): {count} of {count} right, largest difference {largest:.1e}, {microseconds:.0} us a text"
    );
    Ok(true)
}

/// The largest difference; NaN if one is, or if there are more labels on one side.
fn find_difference(expected: &[f64], actual: &[f32]) -> f64 {
    if expected.len() != actual.len() {
        return f64::NAN;
    }
    let differences = expected.iter().zip(actual).map(|(p, q)| (p - f64::from(*q)).abs());
    differences.fold(0.0, |most, difference| {
        if most.is_nan() || difference <= most {
            most
        } else {
            difference
        }
    })
}

fn decode_hex(hex: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16))
        .collect()
}
