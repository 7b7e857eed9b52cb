//! The tokenizer of a GGUF file, from its lists of tokens, kinds, merges and scores.
//!
//! *Guarantees*: texts are split as the file's header names it and never by an expression of the file's; the work of finding merges among
//! pieces is bounded before it begins.
//!
//! *Does not do*: chat templates.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NFC, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence as Splits;
use tokenizers::pre_tokenizers::split::{Split as SplitAt, SplitPattern};
use tokenizers::{AddedToken, NormalizerWrapper, Result, SplitDelimiterBehavior, Tokenizer};

use super::design::Family;
use super::gguf::{Header, Split};

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What stands for a space in pieces.
const SPACE: &str = "\u{2581}";

/// Letters of all pieces, each piece's squared: the work of finding merges. Gemma's 262,144 have some 20 million.
const PIECE_WORK_MAX: usize = 1 << 28;

/// Kinds of tokens in the format.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const OF_THE_USER: u32 = 4;

/// The tokenizer of a file whose header was checked. What candle makes of these lists puts a space before the first word of a text, groups digits, leaves
/// tokens of the user out of an answer's text, merges what Llama 3 does not, and knows no pieces.
pub(super) fn tokenizer(content: &Content, header: &Header) -> Result<Tokenizer> {
    let tokens = texts(content, "tokenizer.ggml.tokens")?.unwrap_or_default();
    let kinds = list(content, "tokenizer.ggml.token_type", |value| match value {
        Value::I32(number) => u32::try_from(*number).ok(),
        Value::U32(number) => Some(*number),
        _ => None,
    })?;
    let kinds: Vec<u32> = kinds.unwrap_or_else(|| vec![1; tokens.len()]);
    if kinds.len() != tokens.len() {
        return Err("it has another number of kinds than of tokens".into());
    }
    let vocabulary: HashMap<&str, u32> = tokens.iter().map(String::as_str).zip(0..).collect();
    if vocabulary.len() != tokens.len() {
        return Err("two tokens have one name".into());
    }
    let merges = match header.split {
        Split::Pieces { .. } => merges_of_pieces(content, &tokens, &vocabulary)?,
        _ => texts(content, "tokenizer.ggml.merges")?
            .ok_or("it has no merges")?
            .iter()
            .map(|merge| merge.split_once(' ').map(|(one, other)| (one.to_owned(), other.to_owned())))
            .collect::<Option<_>>()
            .ok_or("a merge is not of two parts")?,
    };
    let unknown = kinds.iter().position(|kind| *kind == UNKNOWN).and_then(|place| tokens.get(place));
    let owned: Vocab = vocabulary.iter().map(|(token, id)| ((*token).to_owned(), *id)).collect();
    let mut model = BPE::builder().vocab_and_merges(owned, merges);
    model = model.ignore_merges(header.split == Split::Llama3);
    if let (Split::Pieces { .. }, Some(unknown)) = (header.split, unknown) {
        model = model.unk_token(unknown.clone()).fuse_unk(true);
    }
    model = model.byte_fallback(matches!(header.split, Split::Pieces { .. }));
    let mut tokenizer = Tokenizer::new(model.build()?);
    split(&mut tokenizer, header.split)?;
    let added = |wanted: &[u32], special: bool| -> Vec<AddedToken> {
        let chosen =
            tokens.iter().zip(&kinds).filter(|(token, kind)| wanted.contains(kind) && !token.is_empty());
        let strips =
            |token: &str| special && header.design.family == Family::Phi3 && strips(header.split, token);
        chosen
            .map(|(token, _)| {
                AddedToken::from(token.clone(), special).normalized(false).rstrip(strips(token))
            })
            .collect()
    };
    tokenizer.add_special_tokens(added(&[UNKNOWN, CONTROL], true))?;
    tokenizer.add_tokens(added(&[OF_THE_USER], false))?;
    Ok(tokenizer)
}

/// Whether spaces behind a token are left out: so Phi 3's own tokenizer does it, and its GGUF files do not say.
fn strips(split: Split, token: &str) -> bool {
    matches!(split, Split::Pieces { .. }) && !["<unk>", "<s>", "<|endoftext|>"].contains(&token)
}

/// Sets how texts are split, and how tokens become text.
fn split(tokenizer: &mut Tokenizer, split: Split) -> Result<()> {
    let words = |regular| ByteLevel::new(false, true, regular);
    let at = |expression: &str| {
        let pattern = SplitPattern::Regex(expression.to_owned());
        SplitAt::new(pattern, SplitDelimiterBehavior::Isolated, false)
    };
    let splits: Option<PreTokenizerWrapper> = match split {
        Split::Gpt2 => Some(words(true).into()),
        Split::SmolLm => Some(Splits::new(vec![Digits::new(true).into(), words(true).into()]).into()),
        Split::Qwen2 => Some(Splits::new(vec![at(QWEN2)?.into(), words(false).into()]).into()),
        Split::Llama3 => Some(Splits::new(vec![at(LLAMA3)?.into(), words(false).into()]).into()),
        Split::Pieces { .. } => None,
    };
    tokenizer.with_pre_tokenizer(splits);
    let Split::Pieces { prefix } = split else {
        tokenizer.with_normalizer((split == Split::Qwen2).then_some(NFC))?;
        tokenizer.with_decoder(Some(ByteLevel::default()));
        return Ok(());
    };
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if prefix {
        steps.push(Prepend::new(SPACE.to_owned()).into());
    }
    steps.push(Replace::new(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(steps)))?;
    let spaces = Replace::new(SPACE, " ")?.into();
    tokenizer.with_decoder(Some(Decoders::new(vec![spaces, ByteFallback::new().into(), Fuse::new().into()])));
    Ok(())
}

/// The merges that give the same pieces as looking for the best score again and again: those of the best pieces first.
fn merges_of_pieces(
    content: &Content,
    tokens: &[String],
    vocabulary: &HashMap<&str, u32>,
) -> Result<Vec<(String, String)>> {
    let scores = list(content, "tokenizer.ggml.scores", |value| match value {
        Value::F32(number) if number.is_finite() => Some(*number),
        _ => None,
    })?;
    let scores =
        scores.filter(|scores| scores.len() == tokens.len()).ok_or("it has no score for each token")?;
    let work = tokens.iter().map(|token| token.len() * token.len());
    if work.sum::<usize>() > PIECE_WORK_MAX {
        return Err("its pieces are too long".into());
    }
    let mut merges = Vec::new();
    for (token, score) in tokens.iter().zip(&scores) {
        let parts = token.char_indices().skip(1).filter_map(|(at, _)| token.split_at_checked(at));
        let known =
            parts.filter_map(|(one, other)| Some((vocabulary.get(one)?, vocabulary.get(other)?, one, other)));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        merges.extend(known.into_iter().map(|(_, _, one, other)| (*score, one, other)));
    }
    let letters = |text: &str| text.chars().count();
    merges.sort_by(|a, b| {
        b.0.total_cmp(&a.0).then_with(|| (letters(b.1), letters(b.2)).cmp(&(letters(a.1), letters(a.2))))
    });
    Ok(merges.into_iter().map(|(_, one, other)| (one.to_owned(), other.to_owned())).collect())
}

fn texts(content: &Content, key: &str) -> Result<Option<Vec<String>>> {
    list(content, key, |value| match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    })
}

/// A list whose elements all are what `read` takes.
fn list<T>(content: &Content, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>> {
    let Some(value) = content.metadata.get(key) else { return Ok(None) };
    let Value::Array(values) = value else { return Err(format!("{key} is no list").into()) };
    let read: Option<Vec<T>> = values.iter().map(read).collect();
    read.ok_or_else(|| format!("{key} has an element of another type").into()).map(Some)
}
