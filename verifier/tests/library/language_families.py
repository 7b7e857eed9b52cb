"""Writes the small language models that verifier/tests/vectors/language/ keeps, with random weights, and what two other engines say of them.

    python language_families.py OUT_DIR

Each family is a GGUF file, answered by llama.cpp with keys and values in f32, and a folder of safetensors, answered by mlx-lm in f32. The weights of the two differ:
llama.cpp needs rows of 32 numbers, and mlx-lm rounds the root of Gemma's width, which is why there the width is a square.
"""

import importlib
import json
import pathlib
import sys
import urllib.request

import gguf
import mlx.core as mx
import numpy
import tokenizers
import xllamacpp

PROBES = 12
TEXTS = ["the income is 12345, at most", "it's ok\n\n  and so <end> on", "a caf\u00e9 at 9"]
FAMILIES = ["llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"]
SIZES = {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "max_position_embeddings": 64}
CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "phi3": "Phi3", "gemma2": "Gemma2", "gemma3": "Gemma3"}

# Letters as GPT-2 writes bytes, and merges of them.
LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,'!?<>|-") + ["\u0120", "\u010a", "\u00c3", "\u00a9"]
MERGES = ["t h", "th e", "\u0120 the", "i n", "c o", "in co", "m e", "inco me", "\u0120 income", "\u0120 i", "\u0120i s", "1 2", "3 4", "12 34", "1234 5", "' s", "\u010a \u010a"]
MERGES += ["\u0120 \u0120", "a n", "an d", "\u0120 and", "\u0120 a", "o n", "\u0120 on", "1 23", "2 3", "12 3", "\u0120 o", "o k", "4 5"]
SPECIAL = ["<start>", "<end>", "<pad>", "<think>"]
PIECES = ["the", "in", "co", "inco", "me", "income", "\u2581the", "\u2581income", "\u2581i", "\u2581is", "is", "\u2581at", "at", "mo", "st", "most", "\u2581most", "12", "34"]
PIECES += ["\u2581\u2581", "\u2581o", "\u2581on", "\u2581a", "ca", "\u2581and", "nd", "an", "ok"]


def pieces(family):
    return family in ("phi3", "gemma2", "gemma3")


def texts(family):
    return [text.replace("<end>", "</s>") if pieces(family) else text for text in TEXTS]


def vocabulary(family):
    """Tokens, their kinds and scores."""
    if not pieces(family):
        tokens = LETTERS + [merge.replace(" ", "") for merge in MERGES] + SPECIAL
        tokens = list(dict.fromkeys(tokens))
        return tokens, [{"<think>": 4}.get(token, 3 if token in SPECIAL else 1) for token in tokens], None
    base = ["<unk>", "<s>", "</s>", "<think>", "<0x0A>", "<0xC3>", "<0xA9>", "<|endoftext|>"]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,'!?<>|-") + ["\u2581"]
    tokens = base + letters + PIECES
    kinds = [2, 3, 3, 4, 6, 6, 6, 3] + [1] * (len(letters) + len(PIECES))
    scores = [0.0] * len(base) + [-1000.0 - at for at in range(len(letters))] + [-float(len(PIECES) - at) for at in range(len(PIECES))]
    return tokens, kinds, scores


def shapes(family, width, inner, heads, shared, head, words, layers):
    """Tensors under their names in GGUF files."""
    all = {"token_embd.weight": (words, width), "output_norm.weight": (width,)}
    if not family.startswith("gemma"):
        all["output.weight"] = (words, width)
    for layer in range(layers):
        at = f"blk.{layer}."
        all |= {at + "attn_norm.weight": (width,), at + "ffn_norm.weight": (width,), at + "attn_output.weight": (width, heads * head)}
        all[at + "ffn_down.weight"] = (width, inner)
        if family == "phi3":
            all |= {at + "attn_qkv.weight": ((heads + 2 * shared) * head, width), at + "ffn_up.weight": (2 * inner, width)}
        else:
            all |= {at + "ffn_gate.weight": (inner, width), at + "ffn_up.weight": (inner, width)}
            for part, rows in [("q", heads * head), ("k", shared * head), ("v", shared * head)]:
                all[at + f"attn_{part}.weight"] = (rows, width)
                if family == "qwen2":
                    all[at + f"attn_{part}.bias"] = (rows,)
        if family in ("qwen3", "gemma3"):
            all |= {at + "attn_q_norm.weight": (head,), at + "attn_k_norm.weight": (head,)}
        if family.startswith("gemma"):
            all |= {at + "post_attention_norm.weight": (width,), at + "post_ffw_norm.weight": (width,)}
    return all


def weights(family, sizes, seed):
    random = numpy.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes(family, **sizes).items():
        center, scale = (1.0, 0.2) if "norm" in name else (0.0, 1.2 / numpy.sqrt(shape[-1]) if len(shape) == 2 else 0.5)
        tensors[name] = numpy.float32(center + scale * random.normal(size=shape))
    return tensors


def written(folder, family, kind):
    tokens, kinds, scores = vocabulary(family)
    sizes = {"width": 32, "inner": 64, "heads": 2, "shared": 1, "head": 32 if family in ("qwen3", "gemma3") else 16, "words": len(tokens), "layers": 2}
    sizes["layers"] = 3 if family == "gemma3" else 2
    tensors = weights(family, sizes, 7)
    writer = gguf.GGUFWriter(str(folder / f"{kind.name.lower()}.gguf"), family)
    # llama.cpp leaves spaces out behind the special tokens of models with this name, as their own tokenizer does.
    writer.add_name("phi-3" if family == "phi3" else "random")
    writer.add_context_length(64)
    writer.add_embedding_length(sizes["width"])
    writer.add_block_count(sizes["layers"])
    writer.add_feed_forward_length(sizes["inner"])
    writer.add_head_count(sizes["heads"])
    writer.add_head_count_kv(sizes["shared"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500.0 if family != "gemma2" else 10000.0)
    writer.add_rope_dimension_count(8 if family == "phi3" else sizes["head"])
    if family in ("qwen3", "gemma2", "gemma3"):
        writer.add_key_length(sizes["head"])
        writer.add_value_length(sizes["head"])
    if family == "gemma2":
        writer.add_attn_logit_softcapping(3.0)
        writer.add_final_logit_softcapping(4.0)
    if family.startswith("gemma"):
        writer.add_sliding_window(5)
    if family == "gemma3":
        writer.add_uint32("gemma3.attention.sliding_window_pattern", 3)
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(2.0)
    if scores is None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre({"llama": "llama-bpe"}.get(family, "qwen2"))
        writer.add_token_merges(MERGES)
    else:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(scores)
        writer.add_add_space_prefix(family == "phi3")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokens.index("<s>" if pieces(family) else "<start>"))
    writer.add_eos_token_id(tokens.index("</s>" if pieces(family) else "<end>"))
    for name, numbers in tensors.items():
        is_matrix = numbers.ndim == 2
        stored = kind if is_matrix else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(numbers, stored), raw_dtype=stored)
    if family == "llama":
        writer.add_tensor("rope_freqs.weight", numpy.float32([1, 1, 1.5, 2, 4, 8, 8, 8]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(folder / f"{kind.name.lower()}.gguf")


def llama_cpp(path, texts):
    """For each text its tokens, and at each of them the logarithm of every share."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_gpu_layers, params.warmup, params.swa_full = 64, 1, 0, False, True
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params, params.cache_prompt, params.verbosity, params.escape = False, False, -1, False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)

    def ask(way, body):
        request = urllib.request.Request(server.listening_address + way, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def step(prompt):
        # An answer that ends at once is given without its shares; another draw is not.
        for seed in range(100):
            body = {"prompt": prompt, "n_predict": 1, "n_probs": 1000, "cache_prompt": False, "temperature": 2, "seed": seed}
            answer = ask("/completion", body)
            if "completion_probabilities" in answer:
                return {entry["id"]: entry["logprob"] for entry in answer["completion_probabilities"][0]["top_logprobs"]}
        raise SystemExit("llama.cpp gave no shares")

    answers = []
    for text in texts:
        ids = ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        steps = []
        for end in range(1, len(ids) + 1):
            steps.append(step(ids[:end]))
        answers.append((text, ids, steps))
    return answers


def names(family, name):
    """The name in the folder of a tensor of a GGUF file."""
    own = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm", "ffn_down": "mlp.down_proj"}
    own |= {"attn_output": "self_attn.o_proj", "attn_qkv": "self_attn.qkv_proj", "ffn_gate": "mlp.gate_proj", "post_attention_norm": "post_attention_layernorm"}
    own |= {f"attn_{part}": f"self_attn.{part}_proj" for part in "qkv"} | {f"attn_{part}_norm": f"self_attn.{part}_norm" for part in "qk"}
    own |= {"ffn_up": "mlp.gate_up_proj" if family == "phi3" else "mlp.up_proj", "post_ffw_norm": "post_feedforward_layernorm"}
    own["ffn_norm"] = "pre_feedforward_layernorm" if family.startswith("gemma") else "post_attention_layernorm"
    *layer, part, end = name.split(".")
    return (f"model.layers.{layer[1]}." if layer else "") + own[part] + "." + end


def halved(numbers):
    """The upper halves of singles, rounded down, and the singles that they stand for."""
    upper = numbers.view(numpy.uint32) & numpy.uint32(0xFFFF0000)
    return (upper >> 16).astype("<u2"), upper.view(numpy.float32)


def settings(family, words):
    config = SIZES | {"architectures": [CLASSES[family] + "ForCausalLM"], "model_type": family, "hidden_size": 16, "intermediate_size": 24, "head_dim": 8}
    config |= {"vocab_size": words, "hidden_act": "silu", "rope_theta": 500.0, "eos_token_id": [words - 3, words - 2], "tie_word_embeddings": False}
    if family == "llama":
        scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 40, "rope_type": "llama3"}
        config |= {"rope_scaling": scaling, "attention_bias": False}
    if family == "phi3":
        factors = [1.0, 1.5]
        config |= {"rope_scaling": {"type": "longrope", "short_factor": factors, "long_factor": factors}, "partial_rotary_factor": 0.5}
        config |= {"original_max_position_embeddings": 32, "sliding_window": None}
        del config["head_dim"]
    if family.startswith("gemma"):
        config |= {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 10, "sliding_window": 64, "tie_word_embeddings": True}
    if family == "gemma2":
        config |= {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0}
    if family == "gemma3":
        config |= {"model_type": "gemma3_text", "sliding_window": 5, "sliding_window_pattern": 3, "rope_local_base_freq": 100.0}
        config |= {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}
        config["layer_types"] = ["sliding_attention", "sliding_attention", "full_attention"]
    return config


def tokenizer(tokens):
    """What tokenizer.json says of GPT-2's letters, split as Llama 3 does."""
    ids = {token: id for id, token in enumerate(tokens)}
    expression = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    start = {"id": "<start>", "type_id": 0}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": start}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}]}
    template |= {"pair": template["pair"] + [{"Sequence": {"id": "B", "type_id": 1}}]}
    template["special_tokens"] = {"<start>": {"id": "<start>", "ids": [ids["<start>"]], "tokens": ["<start>"]}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added | {"id": ids[token], "content": token, "special": token != "<think>"} for token in SPECIAL],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_]},
        "post_processor": template,
        "decoder": bytes_,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False, "vocab": ids, "merges": MERGES},
    }


def foldered(folder, family):
    """Writes the folder, and gives mlx-lm's logarithms of shares."""
    tokens, _, _ = vocabulary("llama")
    config = settings(family, len(tokens))
    sizes = {"width": 16, "inner": 24, "heads": 2, "shared": 1, "head": 8, "words": len(tokens), "layers": 3}
    entries, data, loaded = {}, b"", []
    for name, numbers in weights(family, sizes, 11).items():
        stored, meant = halved(numpy.float32(numbers - 1.0) if family.startswith("gemma") and "norm" in name else numbers)
        name = names(family, name)
        entries[name] = {"dtype": "BF16", "shape": list(stored.shape), "data_offsets": [len(data), len(data) + stored.nbytes]}
        data += stored.tobytes()
        loaded.append((name, mx.array(meant)))
    header = json.dumps(entries, separators=(",", ":")).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    file = tokenizer(tokens)
    (folder / "tokenizer.json").write_text(json.dumps(file) + "\n")
    module = importlib.import_module("mlx_lm.models." + config["model_type"])
    model = module.Model(module.ModelArgs.from_dict(config))
    if hasattr(model, "sanitize"):
        loaded = list(model.sanitize(dict(loaded)).items())
    model.load_weights(loaded, strict=True)
    cut = tokenizers.Tokenizer.from_str(json.dumps(file))
    answers = []
    for text in TEXTS:
        ids = cut.encode(text).ids
        logits = numpy.float64(numpy.array(model(mx.array([ids]))[0]))
        steps = logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))
        answers.append((text, ids, [dict(enumerate(step)) for step in steps]))
    return kept(answers, len(tokens))


def probes(random, count):
    return sorted(int(id) for id in random.choice(count, PROBES, replace=False))


def kept(answers, words):
    """Some of the numbers of each step: the file stays small."""
    random = numpy.random.default_rng(3)
    rows = []
    for text, ids, steps in answers:
        chosen = probes(random, words)
        shares = [[round(float(step[id]), 6) for id in chosen] for step in steps]
        rows.append({"text": text, "tokens": ids, "probes": chosen, "log_shares": shares})
    return rows


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    for family in FAMILIES:
        folder = out / family
        folder.mkdir(parents=True, exist_ok=True)
        answers = {}
        for kind in [gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.Q8_0]:
            path = written(folder, family, kind)
            answers[kind.name.lower()] = kept(llama_cpp(path, texts(family)), len(vocabulary(family)[0]))
        answers["mlx"] = foldered(folder, family)
        (folder / "answers.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
