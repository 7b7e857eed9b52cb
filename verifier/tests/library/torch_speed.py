"""How long PyTorch takes for a BERT encoder in f32, for `verifier/examples/gpu_speed.rs`, which asks it in turns.

    python torch_speed.py cpu|cuda FOLDER

First says which PyTorch on what. Then a line `BATCH TOKENS COUNT TURNS` asks for COUNT batches, and the answer is the seconds of the
fastest turn. The tokens are made up: the time does not depend on them. TF32 stays off, as in what it is compared with.
"""

import json
import pathlib
import sys
import time

import torch
from torch.nn import functional


def read_safetensors(path, device):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] in kinds:
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            numbers = torch.frombuffer(bytearray(raw[start:end]), dtype=kinds[entry["dtype"]])
            tensors[name.removeprefix("bert.")] = numbers.reshape(entry["shape"]).float().to(device)
    return tensors


def forward(tensors, config, ids):
    def linear(name, x):
        return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def norm(name, x):
        width = (config["hidden_size"],)
        return functional.layer_norm(x, width, tensors[f"{name}.weight"], tensors[f"{name}.bias"], config["layer_norm_eps"])

    batch, length = ids.shape
    heads = config["num_attention_heads"]

    def split(x):
        return x.view(batch, length, heads, -1).transpose(1, 2)

    places = torch.arange(length, device=ids.device)
    x = tensors["embeddings.word_embeddings.weight"][ids] + tensors["embeddings.position_embeddings.weight"][places]
    x = norm("embeddings.LayerNorm", x + tensors["embeddings.token_type_embeddings.weight"][0])
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        query, key, value = (split(linear(f"{at}.attention.self.{name}", x)) for name in ("query", "key", "value"))
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, length, -1)
        x = norm(f"{at}.attention.output.LayerNorm", x + linear(f"{at}.attention.output.dense", seen))
        inner = functional.gelu(linear(f"{at}.intermediate.dense", x))
        x = norm(f"{at}.output.LayerNorm", x + linear(f"{at}.output.dense", inner))
    return x.mean(1)


def main():
    device, folder = torch.device(sys.argv[1]), pathlib.Path(sys.argv[2])
    torch.backends.cuda.matmul.allow_tf32 = False
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors", device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(f"{torch.__version__} on {name}", flush=True)
    for line in sys.stdin:
        batch, length, count, turns = map(int, line.split())
        ids = torch.randint(1000, 2000, (batch, length), device=device)
        best = float("inf")
        with torch.inference_mode():
            forward(tensors, config, ids)
            for _ in range(turns):
                if device.type == "cuda":
                    torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(count):
                    # Brought to the main processor, as the vectors of what it is compared with are.
                    forward(tensors, config, ids).cpu()
                best = min(best, time.perf_counter() - start)
        print(best, flush=True)


if __name__ == "__main__":
    main()
