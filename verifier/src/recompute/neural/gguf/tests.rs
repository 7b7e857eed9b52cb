use super::*;

/// A file of one small tensor, with the keys that a network needs.
fn file(change: impl Fn(&mut Vec<(&'static str, u32, Vec<u8>)>)) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |number: u32| number.to_le_bytes().to_vec();
    let list = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &text("a"), &text("<end>")].concat();
    let mut keys = vec![
        ("general.architecture", 8, text("llama")),
        ("llama.embedding_length", 4, number(8)),
        ("llama.attention.head_count", 4, number(2)),
        ("llama.attention.head_count_kv", 4, number(1)),
        ("llama.rope.dimension_count", 4, number(4)),
        ("llama.attention.layer_norm_rms_epsilon", 6, 1e-5_f32.to_le_bytes().to_vec()),
        ("llama.block_count", 4, number(1)),
        ("llama.feed_forward_length", 4, number(16)),
        ("llama.context_length", 4, number(64)),
        ("tokenizer.ggml.model", 8, text("gpt2")),
        ("tokenizer.ggml.pre", 8, text("smollm")),
        ("tokenizer.ggml.tokens", 9, list),
        ("tokenizer.ggml.eos_token_id", 4, number(1)),
    ];
    change(&mut keys);
    let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        bytes.extend([text(key), kind.to_le_bytes().to_vec(), value].concat());
    }
    bytes.extend([text("token_embd.weight"), number(2)].concat());
    bytes.extend([8_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat());
    bytes.extend([&0_u32.to_le_bytes()[..], &0_u64.to_le_bytes()].concat());
    bytes.resize(bytes.len().next_multiple_of(32) + 64, 0);
    bytes
}

#[test]
fn reads_the_sizes() {
    let header = Header::parse(&file(|_| {})).unwrap();
    let Design { width, inner, heads, shared, head, vocabulary, context, .. } = header.design;
    assert_eq!((width, inner, heads, shared, head, vocabulary, context), (8, 16, 2, 1, 4, 2, 64));
    assert_eq!((header.split, header.ends, header.begin), (Split::SmolLm, vec![1], None));
}

/// The keys of a file with the family's name in the place of Llama's.
fn renamed(family: &'static str, pre: &'static str) -> Vec<u8> {
    let mut keys = file(|_| {});
    for (from, to) in [("llama", family), ("smollm", pre)] {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        keys = replaced(&keys, &text(from), &text(to));
    }
    [keys, vec![0; 64]].concat()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn refuses_families_and_tokenizers_by_their_names() {
    for (family, pre, named) in [("mamba", "smollm", "mamba"), ("llama", "tekken", "tekken")] {
        let error = Header::parse(&renamed(family, pre)).unwrap_err();
        assert!(
            matches!(error, ModelError::Unsupported { .. }) && error.to_string().contains(named),
            "{error}"
        );
    }
    for pre in ["gpt-2", "qwen2", "llama-bpe"] {
        let error = Header::parse(&renamed("llama", pre)).map(|header| header.split);
        // Llama 3's prompts begin with a token, which this file does not name.
        assert_eq!(error.is_err(), pre == "llama-bpe", "{pre}: {error:?}");
    }
}

#[test]
fn refuses_sizes_that_lie_and_what_is_not_reproduced() {
    for (key, value, why) in [
        ("llama.embedding_length", 1 << 30, "vectors without end"),
        ("llama.embedding_length", 0, "empty vectors"),
        ("llama.attention.head_count", 3, "heads that do not divide"),
        ("llama.attention.head_count_kv", 3, "more shared heads than heads"),
        ("llama.rope.dimension_count", 8, "more turned than a head has"),
        ("llama.rope.dimension_count", 3, "an odd number of turned ones"),
        ("llama.feed_forward_length", 1 << 30, "a middle without end"),
        ("llama.block_count", u32::MAX, "layers without end"),
        ("llama.context_length", 0, "no place for a text"),
        ("tokenizer.ggml.eos_token_id", 2, "an end outside the vocabulary"),
    ] {
        let bad = file(|keys| {
            keys.iter_mut()
                .filter(|entry| entry.0 == key)
                .for_each(|entry| entry.2 = value.to_le_bytes().to_vec());
        });
        assert!(Header::parse(&bad).is_err(), "{why}");
    }
    let with = |key, kind, value: &[u8]| Header::parse(&file(|keys| keys.push((key, kind, value.to_vec()))));
    with("other.key", 4, &[1; 4]).unwrap();
    assert!(with("llama.block_count", 4, &[1, 0, 0, 0]).is_err(), "a key twice");
    assert!(with("llama.expert_count", 4, &[8, 0, 0, 0]).is_err(), "experts");
    assert!(with("llama.rope.scaling.factor", 6, &[0; 4]).is_err(), "scaled places");
    assert!(with("llama.attention.key_length", 4, &[255, 255, 255, 255]).is_err(), "heads without end");
    assert!(with("llama.attention.sliding_window", 4, &[9, 0, 0, 0]).is_err(), "a window");
    let error = with("llama.residual_scale", 6, &[0; 4]).unwrap_err();
    assert!(
        error.to_string().contains("llama.residual_scale"),
        "a setting that is not known is named: {error}"
    );
    assert!(with("list", 9, &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).is_err(), "a list of lists");
    assert!(with("list", 9, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).is_err(), "a list without end");
    assert!(with("text", 8, &u64::MAX.to_le_bytes()).is_err(), "a string without end");
    let good = file(|_| {});
    for length in 0..good.len() {
        assert!(Header::parse(&good[..length]).is_err(), "cut after {length} bytes");
    }
}
