#!/usr/bin/env python3
"""Writes a small Llama-shaped model with random weights and a byte-level tokenizer, so that no model hub is needed.

The weights are drawn once from a seed and saved: every engine that loads the folder computes the same, so greedy answers of
two engines can be compared token by token. They mean nothing; what matters is that every token of the prompt has an influence on
the answer, so that a wrong KV block shows.

    tiny_model.py FOLDER [--dtype bfloat16] [--seed 1] [--window TOKENS]

With --window every other layer, the first included, sees only so many tokens back, as in Gemma 3: such a model has two groups of
KV blocks.

One byte of text is one token, which makes prompt lengths easy to choose.
"""
import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

# The KV cache of this model, as `millrace plan` wants it: heads=4,layers=4,head-size=32
LAYERS = 4
QUERY_HEADS = 8
KV_HEADS = 4
HEAD_SIZE = 32
HIDDEN = QUERY_HEADS * HEAD_SIZE
FEED_FORWARD = 2 * HIDDEN
VOCABULARY = 2048
MAX_TOKENS = 2048

SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
CHAT_TEMPLATE = (
    "<|begin|>"
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def write_json(path: pathlib.Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_tokenizer(folder: pathlib.Path) -> None:
    """Special tokens, the 256 bytes, and words that no text is split into but that the model can answer with.

    The words keep answers readable: a random model picks all tokens alike, and random bytes would mostly not be UTF-8.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = SPECIAL + alphabet
    space = "\u0120"  # how the byte-level alphabet writes a space
    entries += [f"{space}word{number}" for number in range(VOCABULARY - len(entries))]
    tokenizer = Tokenizer(models.BPE(vocab={entry: number for number, entry in enumerate(entries)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": SPECIAL[0],
            "eos_token": SPECIAL[1],
            "model_max_length": MAX_TOKENS,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )


def write_config(folder: pathlib.Path, dtype: str, window: int) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": dtype,
        "vocab_size": VOCABULARY,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": QUERY_HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": MAX_TOKENS,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    }
    if window:
        config |= {
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "hidden_activation": "gelu_pytorch_tanh",
            "rms_norm_eps": 1e-6,
            "query_pre_attn_scalar": HEAD_SIZE,
            "rope_local_base_freq": 10000.0,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "sliding_window": window,
            "layer_types": ["full_attention" if layer % 2 else "sliding_attention" for layer in range(LAYERS)],
            "tie_word_embeddings": True,
        }
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {"bos_token_id": 0, "eos_token_id": 1, "do_sample": False})


def write_weights(folder: pathlib.Path, dtype: str, seed: int, window: int) -> int:
    source = torch.Generator().manual_seed(seed)
    element = getattr(torch, dtype)

    def matrix(rows: int, columns: int, gain: float = 1.0) -> torch.Tensor:
        """Keeps the variance of what it is multiplied with, times gain squared."""
        return (torch.randn(rows, columns, generator=source) * gain * columns**-0.5).to(element)

    def norm(elements: int) -> torch.Tensor:
        """Multiplies with one; Gemma adds the one itself."""
        return (torch.zeros(elements) if window else torch.ones(elements)).to(element)

    queries, keys = QUERY_HEADS * HEAD_SIZE, KV_HEADS * HEAD_SIZE
    weights = {
        # Gemma multiplies what it looks up with the root of the hidden size.
        "model.embed_tokens.weight": (torch.randn(VOCABULARY, HIDDEN, generator=source) * (HIDDEN**-0.5 if window else 1)).to(element),
        "model.norm.weight": norm(HIDDEN),
    }
    if not window:
        weights["lm_head.weight"] = matrix(VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        # With a gain of 1 the last token would decide nearly alone: attention must weigh as much as the residual does.
        weights |= {
            prefix + "self_attn.q_proj.weight": matrix(queries, HIDDEN, gain=2.0),
            prefix + "self_attn.k_proj.weight": matrix(keys, HIDDEN, gain=2.0),
            prefix + "self_attn.v_proj.weight": matrix(keys, HIDDEN, gain=2.0),
            prefix + "self_attn.o_proj.weight": matrix(HIDDEN, queries, gain=2.0),
            prefix + "mlp.gate_proj.weight": matrix(FEED_FORWARD, HIDDEN),
            prefix + "mlp.up_proj.weight": matrix(FEED_FORWARD, HIDDEN),
            prefix + "mlp.down_proj.weight": matrix(HIDDEN, FEED_FORWARD),
            prefix + "input_layernorm.weight": norm(HIDDEN),
            prefix + "post_attention_layernorm.weight": norm(HIDDEN),
        }
        if window:
            weights |= {
                prefix + "self_attn.q_norm.weight": norm(HEAD_SIZE),
                prefix + "self_attn.k_norm.weight": norm(HEAD_SIZE),
                prefix + "pre_feedforward_layernorm.weight": norm(HIDDEN),
                prefix + "post_feedforward_layernorm.weight": norm(HIDDEN),
            }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in weights.values())


def main() -> None:
    arguments = argparse.ArgumentParser(description="Writes a small model with random weights.")
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--window", type=int, default=0, help="tokens that every other layer sees; 0: all layers see all")
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(chosen.folder)
    write_config(chosen.folder, chosen.dtype, chosen.window)
    parameters = write_weights(chosen.folder, chosen.dtype, chosen.seed, chosen.window)
    print(f"{chosen.folder}: {parameters / 1e6:.1f} million parameters, {VOCABULARY} tokens")


if __name__ == "__main__":
    main()
