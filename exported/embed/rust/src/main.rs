//! The command around the library.

mod golden;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use rnnx_text_classifier::Classifier;

const USAGE: &str = "usage: rnnx-text-classifier TEXT | --file PATH | --golden | --help

  TEXT          prints the label of a text and its probability
  -- TEXT       the same, for a text that looks like an option
  --file PATH   reads the text from a file; - is the standard input
  --golden      compares with golden.json; exits with 1 at the first difference

Without arguments, the text comes from the standard input, unless that is a terminal.
";

/// What the arguments ask for.
enum Task {
    Text(OsString),
    File(OsString),
    StandardInput,
    Golden,
    Help,
}

/// Reads the arguments; None if they are wrong.
fn parse(arguments: &[OsString]) -> Option<Task> {
    let first = arguments.first().map(|word| word.to_string_lossy());
    match (first.as_deref(), arguments) {
        (None, _) => (!io::stdin().is_terminal()).then_some(Task::StandardInput),
        (Some("--help" | "-h"), [_]) => Some(Task::Help),
        (Some("--golden"), [_]) => Some(Task::Golden),
        (Some("--file"), [_, path]) if path == "-" => Some(Task::StandardInput),
        (Some("--file"), [_, path]) => Some(Task::File(path.clone())),
        (Some("--"), [_, text]) => Some(Task::Text(text.clone())),
        (Some(word), [text]) if !looks_like_an_option(word) => Some(Task::Text(text.clone())),
        _ => None,
    }
}

fn looks_like_an_option(word: &str) -> bool {
    word.starts_with('-') && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
}

/// Reads the text of a task, as bytes.
fn read_text(task: Task) -> Result<Vec<u8>, Box<dyn Error>> {
    match task {
        Task::File(path) => std::fs::read(&path).map_err(|error| format!("{}: {error}", path.to_string_lossy()).into()),
        Task::Text(text) => Ok(text.into_encoded_bytes()),
        _ => {
            let mut text = Vec::new();
            io::stdin().read_to_end(&mut text)?;
            Ok(text)
        }
    }
}

fn run(task: Task) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::Help => print!("{USAGE}"),
        Task::Golden if golden::run(&Classifier::load()?)? => {}
        Task::Golden => return Ok(ExitCode::FAILURE),
        task => {
            let prediction = Classifier::load()?.predict(read_text(task)?)?;
            println!("{}\t{:.6}", prediction.label, prediction.probability);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(task) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    run(task).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
