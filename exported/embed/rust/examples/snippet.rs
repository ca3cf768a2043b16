//! The shortest way from a text to its probabilities.
use ort::{session::Session, value::Tensor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let library = std::env::var("ORT_DYLIB_PATH")?;
    // snippet
    std::env::set_var("ORT_DISABLE_TELEMETRY", "1"); // before onnxruntime is loaded
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let mut session = Session::builder(&environment)?.commit_from_file("model.text.onnx")?;
    let text = b"A wonderful film.".to_vec();
    let input = Tensor::from_array(([1, text.len()], text))?;
    let outputs = session.run(ort::inputs!["text" => input])?;
    println!("{:?}", outputs["probs"].try_extract_tensor::<f32>()?.1); // one probability per label
    // end
    Ok(())
}
