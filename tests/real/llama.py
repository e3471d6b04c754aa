"""A real llama.cpp server on loopback, with a tiny model made here: real tokens, real grammar, real HTTP, no download.

`Llama` runs this file as a process of its own (the server lives in the interpreter that `xllamacpp` is loaded into). What
is asked of it belongs in the tests. The text it writes is noise, but at temperature 0 always the same noise.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

API_KEY = "llama-canary-key-0123456789abcdef"
"""What the server wants to see, so that tests know whose credential reached it."""
MODEL = "tiny"
SLOTS = 4
CONTEXT = 32768
"""Tokens of one slot: room for an answer that goes on until somebody leaves."""
START_TIMEOUT = 30.0

_WIDTH, _HEADS, _INNER = 48, 3, 96
_PRINTABLE = range(0x20, 0x7F)
_LETTERS = ["ä", "ß", "é", "漢", "語", "😀", "👩‍🚀", "\u2028"]
"""Tokens of several bytes: what a gateway that cuts text in the wrong place would break."""
_TOOL_CALL = '<tool_call>\n{"name": "'
TOOL_CALL = 3 + 256 + len(_LETTERS)
"""The token that begins a call; never said unless a `logit_bias` makes it."""
_TEMPLATE = """
{%- if tools %}
    {{- '<|im_start|>system\\nCall functions within <tool_call></tool_call> as {\\"name\\": , \\"arguments\\": }.\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- if message.content %}{{- message.content }}{%- endif %}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


def write_model(path: Path, *, calls: bool = False) -> None:
    """Write a one-layer llama of random weights whose vocabulary is every byte and a few letters; some 200 KiB.

    `calls`: it begins each answer with a call, and ends it where that ends; for questions that have tools.
    """
    import gguf  # noqa: PLC0415 - a part that may be absent; the tests skip then
    import numpy as np  # noqa: PLC0415

    vocabulary = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    vocabulary += [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    vocabulary += [(letter, gguf.TokenType.NORMAL) for letter in _LETTERS] + [(_TOOL_CALL, gguf.TokenType.USER_DEFINED)]
    dice = np.random.default_rng(20261121)

    def noise(rows: int, columns: int) -> Any:
        return dice.normal(scale=columns**-0.5, size=(rows, columns)).astype(np.float32)

    spoken = np.zeros(len(vocabulary), np.float32)  # only these are ever said: no control byte, no half of a letter, no end
    spoken[[3 + byte for byte in _PRINTABLE]] = 12.0
    spoken[259:TOOL_CALL] = 14.0
    tensors = {
        "token_embd.weight": noise(len(vocabulary), _WIDTH) * 4,
        "output.weight": noise(len(vocabulary), _WIDTH) * spoken[:, None],
        "output_norm.weight": np.ones(_WIDTH, np.float32),
        "blk.0.attn_norm.weight": np.ones(_WIDTH, np.float32),
        "blk.0.ffn_norm.weight": np.ones(_WIDTH, np.float32),
        **{f"blk.0.attn_{part}.weight": noise(_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{part}.weight": noise(_INNER, _WIDTH) for part in ("gate", "up")},
        "blk.0.ffn_down.weight": noise(_WIDTH, _INNER),
    }
    if calls:
        for place, (before, said) in enumerate(((3 + ord("\n"), TOOL_CALL), (3 + ord(">"), 2))):
            _follow(tensors, place, before, said)
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, len(vocabulary))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text, _ in vocabulary])
    writer.add_token_scores([float(at >= 259) for at in range(len(vocabulary))])
    writer.add_token_types([kind for _, kind in vocabulary])
    writer.add_add_space_prefix(False)  # else a grammar cannot be begun with the words that begin an answer
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _follow(tensors: dict[str, Any], place: int, before: int, said: int) -> None:
    """Make `said` the token that follows `before`: one place of the state is kept for this alone."""
    for name in ("token_embd.weight", "output.weight"):
        tensors[name][:, place] = 0
    for name in ("blk.0.attn_output.weight", "blk.0.ffn_down.weight"):
        tensors[name][place, :] = 0
    tensors["token_embd.weight"][before, place] = 5
    tensors["output.weight"][said, place] = 50


def _describe(writer: Any, vocabulary: int) -> None:
    writer.add_name("trunkline-test")
    writer.add_vocab_size(vocabulary)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_INNER)
    writer.add_block_count(1)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-6)


class Llama:
    """The running server."""

    def __init__(self, folder: Path, *, calls: bool = False, embeds: bool = False) -> None:
        """`folder`: an empty one for the model and the server's own log; `calls`: as in `write_model`; `embeds`: it makes
        vectors, not words.
        """
        model = folder / "tiny.gguf"
        write_model(model, calls=calls)
        with (folder / "llama.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(model), *(["embeds"] if embeds else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.url = self._wait(folder)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def get(self, path: str) -> Any:
        """The JSON at a path of the server, asked directly."""
        wanted = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {API_KEY}"})
        with urllib.request.urlopen(wanted, timeout=10) as answer:
            return json.load(answer)

    def busy(self) -> int:
        """Slots that are generating."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def stop(self) -> None:
        """End the process: it lives as long as its standard input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()

    def _wait(self, folder: Path) -> str:
        """The address, once the server says it."""
        told = self._process.stdout
        assert told is not None
        line = told.readline() if select.select([told], [], [], START_TIMEOUT)[0] else b""
        if not line:
            log = (folder / "llama.log").read_text(errors="replace")[-2000:]
            raise AssertionError(f"llama.cpp did not start ({self._process.poll()})\n{log}")
        return str(json.loads(line)["url"])


def _serve(model: str, *, embeds: bool) -> None:
    """The process: serve until standard input ends."""
    import xllamacpp  # noqa: PLC0415 - see above

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.model_alias = {MODEL}
    settings.port = 0
    settings.api_keys = [API_KEY]
    settings.n_parallel = SLOTS
    settings.n_ctx = CONTEXT * SLOTS
    settings.use_jinja = True
    settings.endpoint_slots = True
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    settings.verbosity = 0
    settings.cache_prompt = False  # or an answer would depend on what was asked before
    if embeds:
        settings.embedding = True
        settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(settings)
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    _serve(sys.argv[1], embeds="embeds" in sys.argv[2:])
