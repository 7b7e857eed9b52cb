use super::*;

const GOOD: &str = r#"{"architectures": ["Gemma3ForCausalLM"], "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 24, "vocab_size": 82, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    "query_pre_attn_scalar": 10, "sliding_window": 5, "sliding_window_pattern": 3, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "hidden_activation": "gelu_pytorch_tanh", "eos_token_id": [1, 2], "tie_word_embeddings": true}"#;

#[test]
fn reads_older_and_newer_keys_of_places() {
    let old = Config::parse(GOOD.as_bytes(), None).unwrap();
    assert_eq!((old.design.rotary.base, old.design.local.base), (1e6, 1e4));
    assert_eq!((old.design.rotary.divisors.as_slice(), old.design.local.divisors.len()), (&[2.0; 4][..], 0));
    assert_eq!((old.ends, old.is_tied), (vec![1, 2], true));
    let new = GOOD.replace(
        r#""rope_scaling": {"rope_type": "linear", "factor": 2.0}"#,
        r#""rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}"#,
    );
    assert_eq!(Config::parse(new.as_bytes(), None).unwrap().design, old.design);
    let ends = Config::parse(GOOD.as_bytes(), Some(br#"{"eos_token_id": 7}"#)).unwrap().ends;
    assert_eq!(ends, [7], "what is generated ends as generation_config.json says");
}

#[test]
fn refuses_what_is_not_reproduced_by_its_name() {
    for (from, to, named) in [
        ("Gemma3ForCausalLM", "MambaForCausalLM", "MambaForCausalLM"),
        (r#""linear""#, r#""yarn""#, "yarn"),
        (r#""gelu_pytorch_tanh""#, r#""relu""#, "relu"),
        (r#""sliding_window": 5"#, r#""sliding_window": null"#, "sliding_window"),
        (r#""hidden_size": 16"#, r#""hidden_size": 1000000"#, "1000000"),
        (r#""num_key_value_heads": 1"#, r#""num_key_value_heads": 3"#, "config.json"),
        (r#""head_dim": 8"#, r#""head_dim": 7"#, "config.json"),
        (r#""factor": 2.0"#, r#""factor": 0.0"#, "config.json"),
        (r#""eos_token_id": [1, 2]"#, r#""eos_token_id": 82"#, "eos_token_id"),
        (r#""tie_word_embeddings": true"#, r#""tie_word_embeddings": false"#, "tie_word_embeddings"),
        (r#""head_dim""#, r#""layer_types": ["full_attention"], "head_dim""#, "layer_types"),
        (
            r#""head_dim""#,
            r#""use_bidirectional_attention": true, "head_dim""#,
            "use_bidirectional_attention",
        ),
        (r#""head_dim""#, r#""quantization_config": {}, "head_dim""#, "quantization_config"),
    ] {
        let bad = GOOD.replacen(from, to, 1);
        assert_ne!(bad, GOOD, "{named}");
        let error = Config::parse(bad.as_bytes(), None).unwrap_err();
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
}
