"""What the files in the folder of a training are called. Who only looks into one needs no torch for it."""

DESCRIPTION = "training.json"
STATE = "training.safetensors"
LOG = "log.jsonl"
CARD = "README.md"

MOST_HEADER = 1 << 22  # bytes of the header of a safetensors file: those of 20,000 tensors are less
NUMBERS = "numbers"  # in the metadata of STATE: how far the training is, as JSON
