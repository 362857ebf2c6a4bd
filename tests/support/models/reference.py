"""Tiny models of the reference implementation, with weights that make every part of the computation matter."""

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

VOCAB = 61
CONTEXT = 40
COMMON = {"vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0}


def gpt2(**changes: object) -> GPT2Config:
    sizes = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 80, "n_positions": CONTEXT}
    return GPT2Config(**COMMON | sizes | changes)


LLAMA_LIKE = COMMON | {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 72,
    "max_position_embeddings": CONTEXT,
}


def llama(**changes: object) -> LlamaConfig:
    return LlamaConfig(**LLAMA_LIKE | changes)


def qwen2(**changes: object) -> Qwen2Config:
    return Qwen2Config(**LLAMA_LIKE | changes)


def qwen3(**changes: object) -> Qwen3Config:
    return Qwen3Config(**LLAMA_LIKE | {"head_dim": 12} | changes)


def mistral(**changes: object) -> MistralConfig:
    return MistralConfig(**LLAMA_LIKE | changes)


# Of the four pairs of a head, one is kept, one slowed by a part of the factor, and two by all of it.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 30.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 3.0,
    "original_max_position_embeddings": 20,
}
SLIDING, FULL = "sliding_attention", "full_attention"


CONFIGS: dict[str, PreTrainedConfig] = {
    "gpt2 tied": gpt2(),
    "gpt2 untied": gpt2(tie_word_embeddings=False, n_inner=None, layer_norm_epsilon=1e-3),
    "llama mha": llama(num_key_value_heads=4),
    "llama mha tied": llama(num_key_value_heads=4, tie_word_embeddings=True),
    "llama gqa": llama(head_dim=12, rope_parameters={"rope_type": "default", "rope_theta": 300.0}),
    "llama gqa tied": llama(tie_word_embeddings=True, rms_norm_eps=1e-3),
    "llama mqa": llama(num_key_value_heads=1),
    "llama mqa tied": llama(num_key_value_heads=1, tie_word_embeddings=True),
    "llama with llama3 scaling": llama(rope_parameters=LLAMA3),
    "qwen2": qwen2(),
    "qwen2 tied": qwen2(tie_word_embeddings=True, num_key_value_heads=1),
    "qwen2 windowed above": qwen2(use_sliding_window=True, sliding_window=7, max_window_layers=1),
    "qwen2 windowed between": qwen2(
        use_sliding_window=True, sliding_window=5, layer_types=[SLIDING, FULL, SLIDING]
    ),
    "qwen3": qwen3(),
    "qwen3 tied": qwen3(tie_word_embeddings=True, num_key_value_heads=4),
    "qwen3 biased": qwen3(attention_bias=True, num_key_value_heads=1),
    "qwen3 windowed above": qwen3(use_sliding_window=True, sliding_window=6, max_window_layers=2),
    "mistral": mistral(sliding_window=8, head_dim=12),
    "mistral tied": mistral(sliding_window=3, tie_word_embeddings=True),
    "mistral without a window": mistral(sliding_window=None),
}


def reference(config: PreTrainedConfig) -> PreTrainedModel:
    """The reference model of a configuration: sharp attention, and no gain, bias or position that does nothing."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("c_attn.weight"):
            parameter.copy_(1.4 * noise / 32**0.5)
        elif name.endswith(("q_proj.weight", "k_proj.weight")):
            parameter.copy_(1.1 * noise / 32**0.5)
        elif name.endswith(("wte.weight", "wpe.weight", "embed_tokens.weight")):
            parameter.copy_(0.15 * noise)
        elif parameter.ndim == 2:
            parameter.copy_(0.6 * noise / 32**0.5)
        elif name.endswith("bias"):
            parameter.copy_(0.3 * noise)
        else:
            parameter.copy_(1 + 0.3 * noise)
    return model


def in_our_order(model: PreTrainedModel) -> PreTrainedModel:
    """The model, with the norms of heads summing over adjacent pairs, not over halves.

    They sum squares in float32, whatever the dtype, where another order ends in other last digits.
    """
    for name, norm in model.named_modules():
        if name.endswith(("q_norm", "k_norm")):
            order = torch.arange(len(norm.weight)).view(2, -1).T.flatten()
            norm.weight.copy_(norm.weight[order])
            norm.register_forward_pre_hook(lambda _, args, order=order: (args[0][..., order],))
            norm.register_forward_hook(lambda _, args, out, order=order: out[..., order.argsort()])
    return model
