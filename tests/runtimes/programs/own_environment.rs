//! Uses the crate of a kit in a program that has an environment of `ort` already.

use rnnx_text_classifier::{ort, Classifier};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let environment = ort::init_from(std::env::args().nth(1).unwrap_or_default())?.build()?;
    let refused = Classifier::load().map(|_| ()).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|message| message.contains("only one environment") && message.contains("load_in")));
    let prediction = Classifier::load_in(&environment)?.predict("A wonderful film.")?;
    println!("{}\t{}", prediction.label, prediction.probability);
    Ok(())
}
