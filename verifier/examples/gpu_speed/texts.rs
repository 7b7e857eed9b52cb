//! Texts: a text model on the device against itself on the main processor, and against PyTorch where that is there.

use std::path::Path;
use std::process::Command;

use ledgerstone_verifier::recompute::neural::{Files, TextModel, TextScore};

use super::{Floor, Options, Random, fastest};
use crate::peer::Peer;

/// Texts that are computed side by side.
const BATCHES: [usize; 3] = [1, 16, 64];
/// Texts that the main processor computes for comparison.
const COMPARED: usize = 64;
const WORDS: [&str; 12] = [
    "the", "loan", "was", "refused", "income", "stable", "years", "employed", "credit", "late", "payment",
    "good",
];

pub(crate) fn measure(folder: &Path, options: &Options, floor: &Floor) {
    let files = Files::read(|name, _| Ok::<_, std::io::Error>(std::fs::read(folder.join(name)).ok()));
    let files = files.expect("the folder can be read");
    let here = TextModel::load(&files).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let there = TextModel::load_on(&files, options.device).unwrap_or_else(|error| panic!("{error}"));
    let random = &mut Random(5);
    let texts: Vec<String> = (0..options.texts)
        .map(|_| (0..38).map(|_| WORDS[random.below(WORDS.len())]).collect::<Vec<_>>().join(" "))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let compared: Vec<&str> = texts.iter().take(COMPARED).copied().collect();
    let distance = compared
        .iter()
        .map(|text| apart(&here.score(text).unwrap(), &there.score(text).unwrap()))
        .fold(0.0, f32::max);
    println!(
        "texts: {} vectors at most {distance:.1e} from the main processor's, one by one",
        compared.len()
    );
    let mut torch = options.torch.as_deref().map(|command| Torch::start(command, folder));
    for batch in BATCHES {
        let all = || -> Vec<TextScore> {
            texts.chunks(batch).flat_map(|part| there.score_batch(part, None).unwrap()).collect()
        };
        let once = all();
        let (scores, time) = fastest(options.turns, all);
        assert!(scores == once, "batches of {batch}: two runs differ");
        let tokens = scores.iter().map(|score| score.tokens).max().unwrap_or(1);
        let work = operations(&here, tokens) * texts.len() as f64;
        println!(
            "texts in batches of {batch}: the same bits in two runs; {:.1} texts/s of {tokens} tokens; {:.3} of the arithmetic floor",
            texts.len() as f64 / time,
            work / floor.operations / time,
        );
        if let Some(torch) = &mut torch {
            let seconds = torch.seconds(batch, tokens, texts.len().div_ceil(batch), options.turns);
            let count = texts.len().div_ceil(batch) * batch;
            println!("  PyTorch f32, the network alone: {:.1} texts/s", count as f64 / seconds);
        }
    }
}

/// Multiplications and additions of a text: four products of a square of the width and two of the width with four times the width a layer,
/// and what attention multiplies.
fn operations(model: &TextModel, tokens: usize) -> f64 {
    let about = model.about();
    let (layers, width, tokens) = (about.layers as f64, about.width as f64, tokens as f64);
    layers * 2.0 * (tokens * 12.0 * width * width + 2.0 * tokens * tokens * width)
}

fn apart(one: &TextScore, other: &TextScore) -> f32 {
    one.vector.iter().zip(&other.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A program that answers `BATCH TOKENS COUNT TURNS` with the seconds that its fastest turn took.
struct Torch(Peer);

impl Torch {
    fn start(command: &str, folder: &Path) -> Self {
        let mut words = command.split_whitespace();
        let program = words.next().expect("--torch names a program");
        let (peer, version) = Peer::start(Command::new(program).args(words).arg(folder));
        println!("PyTorch: {version}");
        Self(peer)
    }

    fn seconds(&mut self, batch: usize, tokens: usize, count: usize, turns: usize) -> f64 {
        self.0.ask(&format!("{batch} {tokens} {count} {turns}")).parse().unwrap()
    }
}
