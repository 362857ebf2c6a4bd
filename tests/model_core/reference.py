"""Tiny models of the reference implementation, with weights that make every part of the computation matter."""

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

VOCAB = 61
CONTEXT = 40
COMMON = {"vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0}


def gpt2(**changes: object) -> GPT2Config:
    sizes = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 80, "n_positions": CONTEXT}
    return GPT2Config(**COMMON | sizes | changes)


def llama(**changes: object) -> LlamaConfig:
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 72,
        "max_position_embeddings": CONTEXT,
    }
    return LlamaConfig(**COMMON | sizes | changes)


CONFIGS: dict[str, PreTrainedConfig] = {
    "gpt2 tied": gpt2(),
    "gpt2 untied": gpt2(tie_word_embeddings=False, n_inner=None, layer_norm_epsilon=1e-3),
    "llama mha": llama(num_key_value_heads=4),
    "llama mha tied": llama(num_key_value_heads=4, tie_word_embeddings=True),
    "llama gqa": llama(head_dim=12, rope_parameters={"rope_type": "default", "rope_theta": 300.0}),
    "llama gqa tied": llama(tie_word_embeddings=True, rms_norm_eps=1e-3),
    "llama mqa": llama(num_key_value_heads=1),
    "llama mqa tied": llama(num_key_value_heads=1, tie_word_embeddings=True),
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
