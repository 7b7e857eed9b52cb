"""How long llama.cpp takes for an answer that is computed step by step; verifier/examples/language_speed.rs asks.

    python language_speed.py OUT_DIR q4_1|q8_0 THREADS

OUT_DIR is what language_smollm2.py filled. The file with weights of 8 bits is written from that of 4, whose numbers it rounds once more: it takes as long as
any other. For each number of tokens on standard input the text of OUT_DIR/prompt is answered with so many, the likeliest at each step; the answer is the
seconds that the prompt took, those of the steps behind it, the tokens of the prompt, and those of the answer.
"""

import json
import pathlib
import sys
import urllib.request

import gguf
import xllamacpp


def eight_bits(source, path):
    """Writes a file in which every matrix is Q8_0."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind, *inner = field.types
        value = int(gguf.LlamaFileType.MOSTLY_Q8_0) if name == "general.file_type" else field.contents()
        writer.add_key_value(name, value, kind, sub_type=inner[-1] if inner else None)
    for tensor in reader.tensors:
        stored = tensor.tensor_type
        if stored != gguf.GGMLQuantizationType.Q4_1:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=stored)
            continue
        stored = gguf.GGMLQuantizationType.Q8_0
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, gguf.quants.quantize(numbers, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def server(path, threads):
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 2048, 1, 0
    # One token a step, those of the prompt too. All else is as llama.cpp sets it.
    # A first run to warm up would need two.
    params.n_ubatch, params.warmup = 1, False
    params.fit_params, params.cache_prompt, params.verbosity, params.escape = False, False, -1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


def main():
    out, kind, threads = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    path = out / "model.gguf"
    if kind == "q8_0":
        path = out / "q8_0.gguf"
        eight_bits(out / "model.gguf", path)
    asked = server(path, threads)
    prompt = (out / "prompt").read_text()
    print("ready", flush=True)
    for line in sys.stdin:
        body = {"prompt": prompt, "n_predict": int(line), "temperature": 0, "top_k": 1, "samplers": ["top_k"], "cache_prompt": False, "return_tokens": True}
        data = json.dumps(body).encode()
        request = urllib.request.Request(asked.listening_address + "/completion", data, {"Content-Type": "application/json"})
        answer = json.load(urllib.request.urlopen(request))
        times = answer["timings"]
        print(times["prompt_ms"] / 1e3, times["predicted_ms"] / 1e3, times["prompt_n"], *answer["tokens"], flush=True)


if __name__ == "__main__":
    main()
