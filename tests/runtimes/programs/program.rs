//! Uses the crate of a kit: prints label and probability of a text, by the model of a folder if there is one.

use rnnx_text_classifier::{Classifier, ClassifierError, Prediction};

const TEXT: &str = "A wonderful film.";

/// Many texts of other lengths: their order is kept, and a long one does not change the others.
fn read_many(classifier: &Classifier) -> Result<(), ClassifierError> {
    let mut texts = vec![String::new(); 3002];
    texts[0] = "awful".to_owned();
    texts[1] = "x ".repeat(500_000);
    texts[3001] = "wonderful".to_owned();
    let predictions = classifier.predict_many(&texts)?;
    assert_eq!(predictions.len(), 3002);
    assert_eq!(
        (predictions[0].label.as_str(), predictions[3001].label.as_str()),
        ("neg", "pos")
    );
    assert!((classifier.predict("")?.probs[0] - predictions[2].probs[0]).abs() < 1e-6);
    assert!(classifier.predict_many(Vec::<Vec<u8>>::new())?.is_empty());
    assert_eq!(classifier.predict_many([&b"aw\xfful"[..], b""])?.len(), 2);
    Ok(())
}

fn run() -> Result<(), ClassifierError> {
    let missing = Classifier::load_from("absent");
    assert!(matches!(&missing, Err(ClassifierError::Read { path, .. }) if path.starts_with("absent")));
    let folder = std::env::args().nth(1);
    let classifier = folder.as_ref().map_or_else(Classifier::load, Classifier::load_from)?;
    let prediction: Prediction = classifier.predict(TEXT)?;
    assert_eq!(classifier.labels().len(), 2);
    assert_eq!(prediction.label, classifier.labels()[1]);
    assert_eq!(prediction.probability, prediction.probs[1]);
    let in_a_thread = std::thread::scope(|scope| scope.spawn(|| classifier.predict(TEXT.as_bytes())).join());
    assert_eq!(in_a_thread.expect("a thread")?, prediction);
    if std::env::args().len() < 3 {
        read_many(&classifier)?;
    }
    println!("{}\t{}", prediction.label, prediction.probability);
    Ok(())
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ClassifierError: {error}");
            std::process::ExitCode::from(3)
        }
    }
}
