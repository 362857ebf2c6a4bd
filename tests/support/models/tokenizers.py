"""What tokenizers are tried with."""

from hypothesis import strategies as st

from model_core.api.files.assets import asset

TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from([" the", " cat", "sat", "  ", "12345", "’s", "東京", "\n", "\r\n", "é", ", "])
    ).map("".join),
)
TALES = asset("tokenizers", "tales-2048.tiktoken")
SETTINGS = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
