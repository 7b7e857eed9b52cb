use super::*;

const BERT: &str = r#"{"model_type": "bert", "architectures": ["BertForSequenceClassification"], "num_hidden_layers": 2,
    "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16, "vocab_size": 20, "max_position_embeddings": 12,
    "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0,
    "id2label": {"0": "no", "1": "yes"}}"#;

#[test]
fn reads_the_sizes_and_the_labels() {
    let config = Config::parse(BERT.as_bytes()).unwrap();
    assert_eq!((config.family, config.layers, config.heads, config.tokens_max()), (Family::Bert, 2, 2, 12));
    let classifier = config.classifier.unwrap();
    assert_eq!(
        (classifier.labels, classifier.problem),
        (vec!["no".to_owned(), "yes".to_owned()], Problem::Single)
    );
}

#[test]
fn a_roberta_keeps_places_for_itself() {
    let roberta =
        BERT.replace("\"bert\"", "\"roberta\"").replace("\"pad_token_id\": 0", "\"pad_token_id\": 1");
    assert_eq!(Config::parse(roberta.as_bytes()).unwrap().tokens_max(), 10);
}

#[test]
fn refuses_absurd_sizes_and_what_is_not_reproduced() {
    for (from, to, why) in [
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4000000000", "layers without end"),
        ("\"hidden_size\": 8", "\"hidden_size\": 1000000", "vectors without end"),
        ("\"hidden_size\": 8", "\"hidden_size\": 0", "empty vectors"),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 0", "no heads"),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "heads that do not divide"),
        ("\"vocab_size\": 20", "\"vocab_size\": 1e30", "a vocabulary without end"),
        ("\"vocab_size\": 20", "\"vocab_size\": -1", "a negative vocabulary"),
        ("\"max_position_embeddings\": 12", "\"max_position_embeddings\": 2", "no room for a text"),
        ("\"pad_token_id\": 0", "\"pad_token_id\": 20", "a padding outside the vocabulary"),
        ("\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0", "a division by zero"),
        ("\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 1e-12, \"norm_eps\": 1e-5", "two epsilons"),
        ("\"gelu\"", "\"swish\"", "an unknown activation"),
        ("\"bert\"", "\"gpt2\"", "an unknown family"),
        ("\"pad_token_id\": 0", "\"position_embedding_type\": \"relative_key\"", "relative places"),
        ("\"pad_token_id\": 0", "\"is_decoder\": true", "a decoder"),
        ("\"pad_token_id\": 0", "\"problem_type\": \"ranking\"", "an unknown problem"),
        ("\"0\": \"no\"", "\"7\": \"no\"", "labels with a gap"),
    ] {
        let bad = BERT.replacen(from, to, 1);
        assert_ne!(bad, BERT, "{why}");
        assert!(Config::parse(bad.as_bytes()).is_err(), "{why}");
    }
}

#[test]
fn refuses_options_of_one_family() {
    let deberta = BERT.replace("\"bert\"", "\"deberta-v2\"");
    Config::parse(deberta.as_bytes()).unwrap();
    for option in ["\"conv_kernel_size\": 3", "\"relative_attention\": false", "\"embedding_size\": 4"] {
        let bad = deberta.replace("\"pad_token_id\": 0", option);
        assert!(Config::parse(bad.as_bytes()).is_err(), "{option}");
    }
    let modern = BERT.replace("\"bert\"", "\"modernbert\"").replace("hidden_act", "hidden_activation").replace(
        "\"pad_token_id\": 0",
        "\"global_attn_every_n_layers\": 3, \"local_attention\": 4, \"global_rope_theta\": 1e4, \"local_rope_theta\": 1e4",
    );
    Config::parse(modern.as_bytes()).unwrap();
    for (from, to) in [
        ("\"local_attention\": 4", "\"local_attention\": 4, \"mlp_bias\": true"),
        ("\"global_rope_theta\": 1e4", "\"global_rope_theta\": 0"),
        ("\"global_attn_every_n_layers\": 3", "\"global_attn_every_n_layers\": 0"),
    ] {
        assert!(Config::parse(modern.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}
